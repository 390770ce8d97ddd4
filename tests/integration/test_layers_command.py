"""`poetry docker layers` on a real project: sizes from each source, and `--write`."""

from __future__ import annotations

import json
import os
import platform
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from acme import CANARY, IMAGE_PYTHON, PASSWORD, USER
from command_line import Outcome, poetry
from index import PrivateIndex
from leaks import probes
from poetry_versions import OLDEST_AND_NEWEST, poetry_python
from wheels import make_wheel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engines import DockerEngine

LIGHT = [f"acme-light-{number}" for number in range(9)]
HEAVY = {"acme-heavy": 900_000, "acme-model": 400_000, "acme-vision": 600_000}
NAMES = sorted([*LIGHT, *HEAVY])
PYPROJECT = """\
[project]
name = "acme-forecast"   # of the Acme company
version = "1.2.3"
requires-python = ">=3.10"
dependencies = {names}

[tool.poetry]
package-mode = false

[[tool.poetry.source]]
name = "acme"
url = "{url}"

[tool.poetry-docker-cache]
python = "{python}"  # as in production
files = ["main.py"]
"""
WRITTEN = 'layers = 6\nown-layers = ["acme-heavy"]\n'
LAYERS = ("docker", "layers")


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make light pure-Python packages, and three heavy ones with native code."""
    folder = tmp_path_factory.mktemp("wheels")
    noise = random.Random(1)
    for number, name in enumerate(LIGHT):
        module = name.replace("-", "_")
        make_wheel(folder, name, files={f"{module}.py": "#" * 1000 * (number + 1)})
    for name, size in HEAVY.items():
        module = name.replace("-", "_")
        tag = f"py3-none-manylinux_2_17_{platform.machine()}"
        make_wheel(folder, name, tag=tag, files={f"{module}/data": noise.randbytes(size)})
    return folder


@pytest.fixture(scope="module")
def index(wheels: Path) -> Iterator[PrivateIndex]:
    """Serve the packages to one user."""
    with PrivateIndex(wheels, {USER: PASSWORD}) as served:
        yield served


@pytest.fixture
def project(index: PrivateIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a locked project; Poetry has the password, and docker is missing."""
    monkeypatch.setenv("POETRY_HTTP_BASIC_ACME_USERNAME", USER)
    monkeypatch.setenv("POETRY_HTTP_BASIC_ACME_PASSWORD", PASSWORD)
    monkeypatch.setenv("POETRY_VIRTUALENVS_IN_PROJECT", "true")
    tools = tmp_path / "bin"
    tools.mkdir()
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{Path(sys.executable).parent}")
    folder = tmp_path / "forecast"
    folder.mkdir()
    text = PYPROJECT.format(names=json.dumps(NAMES), url=index.url, python=IMAGE_PYTHON)
    (folder / "pyproject.toml").write_text(text, encoding="utf-8")
    (folder / "main.py").write_text("import acme_heavy\n")
    with monkeypatch.context() as only_lock:
        only_lock.setenv("POETRY_VIRTUALENVS_CREATE", "false")
        locked = poetry(folder, "lock")
    assert locked.status == 0, locked.err
    return folder


def install(folder: Path) -> None:
    """Run `poetry install` in a new process."""
    command = [sys.executable, "-m", "poetry", "-n", "install"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"


def data(outcome: Outcome) -> dict[str, Any]:
    """Return the output of `--json`, which must be the only output."""
    assert outcome.status == 0, outcome.err
    found: dict[str, Any] = json.loads(outcome.out)
    return found


def column(found: dict[str, Any], key: str) -> dict[str, Any]:
    """Return the values of one key by package."""
    return {package["name"]: package[key] for package in found["packages"]}


def no_secret(outcome: Outcome) -> bool:
    """Return whether the output does not contain the password."""
    printed = (outcome.out + outcome.err).encode()
    return not any(probe in printed for probe in probes(CANARY).values())


def test_index_has_download_sizes(project: Path, index: PrivateIndex, wheels: Path) -> None:
    """Nothing is downloaded, and no environment is created."""
    before = index.downloads()
    shown = poetry(project, *LAYERS, "--json", "-vvv")
    found = data(shown)
    assert index.downloads() == before
    assert found["unit"] == "download"
    sizes = {path.name.split("-")[0]: path.stat().st_size for path in wheels.glob("*.whl")}
    assert column(found, "bytes") == {name: sizes[name.replace("-", "_")] for name in NAMES}
    assert set(column(found, "from").values()) == {"index"}
    assert set(column(found, "exact").values()) == {True}
    kinds = column(found, "kind")
    assert {name for name, kind in kinds.items() if kind == "native"} == set(HEAVY)
    assert no_secret(shown)
    assert sorted(path.name for path in project.iterdir()) == [
        "main.py", "poetry.lock", "pyproject.toml",
    ]  # fmt: skip
    assert not list(Path(os.environ["POETRY_CACHE_DIR"]).glob("virtualenvs/*"))


def test_environment_has_installed_sizes(project: Path, index: PrivateIndex) -> None:
    """Missing sizes come from the index, are converted and marked."""
    install(project)
    asked = len(index.requests())
    found = data(poetry(project, *LAYERS, "--json"))
    assert len(index.requests()) == asked
    assert found["unit"] == "installed"
    assert set(column(found, "from").values()) == {"environment"}
    sizes = column(found, "bytes")
    assert 900_000 < sizes["acme-heavy"] < 901_000
    assert 8_000 < sizes["acme-light-7"] < 9_000
    (gone,) = project.glob(".venv/lib/*/site-packages/acme_light_7-*.dist-info")
    shutil.rmtree(gone)
    (other,) = project.glob(".venv/lib/*/site-packages/acme_light_6-*.dist-info")
    other.rename(other.with_name("acme_light_6-0.9.dist-info"))
    metadata = other.with_name("acme_light_6-0.9.dist-info") / "METADATA"
    metadata.write_text(metadata.read_text().replace("Version: 1.0", "Version: 0.9"))
    shown = poetry(project, *LAYERS, "--json")
    mixed = column(data(shown), "from")
    assert {name for name, origin in mixed.items() if origin == "index"} == {
        "acme-light-6",
        "acme-light-7",
    }
    assert column(data(shown), "exact")["acme-light-7"] is False
    assert "acme-light-7, acme-light-6: the size (≈) is estimated" in shown.err
    only = poetry(project, *LAYERS, "--json", "--from", "environment")
    assert column(data(only), "from")["acme-light-7"] is None
    assert "The size of acme-light-7 1.0 is unknown: assuming" in only.err


def test_environment_of_another_python_counts(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Poetry has the environment under the name of that Python."""
    monkeypatch.delenv("POETRY_VIRTUALENVS_IN_PROJECT")
    install(project)
    (made,) = Path(os.environ["POETRY_CACHE_DIR"]).glob("virtualenvs/*-py3*")
    made.rename(made.with_name(made.name.rpartition("-py")[0] + "-py3.99"))
    found = data(poetry(project, *LAYERS, "--json", "--from", "environment"))
    assert set(column(found, "from").values()) == {"environment"}


def test_table_shows_cost_and_better_setting(project: Path) -> None:
    """It has all packages, the cost now, the better setting and how to write it."""
    shown = poetry(project, *LAYERS, colours=True)
    assert shown.status == 0, shown.err
    lines = shown.out.splitlines()
    assert lines[0].startswith(" 12 packages, 2.0 MB to download (sizes from the index)")
    assert lines[2].split()[:3] == ["acme-heavy", "0.9", "MB"]
    assert lines[2].split()[-1] == "own-acme-heavy"
    assert lines[-2:] == [f" {line}" for line in WRITTEN.splitlines()]
    assert "\x1b" not in shown.out
    assert "Run `poetry docker layers --write` to write the better setting" in shown.err


def test_table_has_the_width_of_the_terminal(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shell that exports COLUMNS counts, too."""
    bars = []
    for columns in ("80", "120"):
        monkeypatch.setenv("COLUMNS", columns)
        bars.append(poetry(project, *LAYERS).out.splitlines()[2].count("█"))
    assert bars[0] < bars[1]


def test_table_is_ascii_if_stdout_is(project: Path) -> None:
    """An ASCII stdout gets an ASCII table."""
    command = [sys.executable, "-m", "poetry", *LAYERS]
    env = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, cwd=project, env=env, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert b"#######" in done.stdout
    assert done.stdout.isascii()


@pytest.mark.parametrize("newline", ["\n", "\r\n"], ids=["lf", "crlf"])
def test_better_setting_is_written(project: Path, newline: str) -> None:
    """Formatting is kept, the lock is fresh, and a second run changes nothing."""
    path = project / "pyproject.toml"
    before = path.read_text(encoding="utf-8")
    path.write_bytes(before.replace("\n", newline).encode())
    lock = (project / "poetry.lock").read_bytes()
    wrote = poetry(project, *LAYERS, "--write", "--json")
    assert data(wrote)["better"]["own-layers"] == ["acme-heavy"]
    assert "Wrote `layers` and `own-layers`" in wrote.err
    assert path.read_bytes() == (before + WRITTEN).replace("\n", newline).encode()
    assert (project / "poetry.lock").read_bytes() == lock
    checked = poetry(project, "check", "--lock")
    assert "poetry.lock" not in checked.err, checked.err
    assert poetry(project, "docker", "export").status == 0
    dockerfile = (project / "Dockerfile").read_text(encoding="utf-8")
    assert " AS own-acme-heavy\n" in dockerfile
    written = path.stat()
    again = poetry(project, *LAYERS, "--write", "--json")
    assert data(again)["better"] is None
    assert "nothing to change" in again.err
    after = path.stat()
    assert (after.st_ino, after.st_mtime_ns) == (written.st_ino, written.st_mtime_ns)
    assert poetry(project, "docker", "export", "--check").status == 0


def test_layers_are_those_of_the_dockerfile(project: Path) -> None:
    """The shown split is the exported one."""
    found = data(poetry(project, *LAYERS, "--json"))
    exported = poetry(project, "docker", "export", "-o", "-").out
    for layer, packages in found["now"]["split"].items():
        assert packages
        assert f" AS {layer}\n" in exported
    assert exported.count("target=/manifest.json") == len(found["now"]["split"])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--from", "wheel"], "--from 'wheel' is unknown."),
        (["--from", "index", "--image", "x"], "--image cannot be combined with --from index."),
        (["--from", "environment"], "The project has no environment."),
        (["--image", "x"], "`docker` not found on the PATH"),
        (["--image", ""], "'' is not the name of an image."),
        (["--", "x"], "`poetry docker layers` takes no arguments after `--`."),
        (["--only", "nothing"], "The group 'nothing' (in --only) does not exist"),
    ],
)
def test_mistake_is_one_error_with_a_fix(project: Path, arguments: list[str], says: str) -> None:
    """Nothing is printed to stdout and nothing is written."""
    before = (project / "pyproject.toml").read_bytes()
    shown = poetry(project, *LAYERS, "--write", *arguments)
    assert (shown.status, shown.out) == (1, "")
    assert says in shown.err
    assert (project / "pyproject.toml").read_bytes() == before


def test_wrong_password_is_an_error(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the source and does not show the password."""
    monkeypatch.setenv("POETRY_HTTP_BASIC_ACME_PASSWORD", f"wrong{CANARY}")
    shown = poetry(project, *LAYERS, "-v")
    assert (shown.status, shown.out) == (1, "")
    assert "The source 'acme' rejects the credentials, or needs some" in shown.err
    assert no_secret(shown)


def test_missing_index_is_an_error(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an error unless the sizes come from elsewhere."""
    monkeypatch.setattr("poetry.utils.authenticator.time.sleep", lambda _: None)
    path = project / "pyproject.toml"
    with PrivateIndex(project, {}) as gone:
        url = gone.url
    text = path.read_text(encoding="utf-8")
    start = text.index('url = "') + 7
    path.write_text(text[:start] + url + text[text.index('"', start) :], encoding="utf-8")
    lock = project / "poetry.lock"
    old = text[start : text.index('"', start)].rstrip("/")
    lock.write_text(lock.read_text().replace(old, url.rstrip("/")))
    _rehash(project)
    shown = poetry(project, *LAYERS)
    assert (shown.status, shown.out) == (1, "")
    assert "The source 'acme' does not answer" in shown.err


def _rehash(project: Path) -> None:
    from poetry.packages.locker import Locker  # noqa: PLC0415  # only here
    from poetry.toml.file import TOMLFile  # noqa: PLC0415  # as above

    data: Any = TOMLFile(project / "pyproject.toml").read()
    lock = project / "poetry.lock"
    fresh = Locker(lock, data)._get_content_hash()
    lines = lock.read_text().splitlines()
    lines = [
        f'content-hash = "{fresh}"' if line.startswith("content-hash") else line for line in lines
    ]
    lock.write_text("\n".join(lines) + "\n")


def test_project_without_packages_has_nothing_to_split(project: Path) -> None:
    """There is nothing to split."""
    path = project / "pyproject.toml"
    text = path.read_text(encoding="utf-8")
    start = text.index("dependencies = ")
    end = text.index("\n", start)
    path.write_text(text[:start] + "dependencies = []" + text[end:], encoding="utf-8")
    assert poetry(project, "lock").status == 0
    shown = poetry(project, *LAYERS)
    assert (shown.status, shown.out) == (1, "")
    assert "The image has no packages to split" in shown.err


RUN = """
import sys
from poetry.console.application import main
sys.argv = ["poetry", "docker", "layers", *sys.argv[1:]]
main()
"""


@pytest.fixture(scope="module")
def plugin(plugin_wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder for PYTHONPATH: nothing is installed into the shared environments."""
    folder = tmp_path_factory.mktemp("plugin")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target"]
    subprocess.run([*pip, folder, plugin_wheel, "jinja2", "markupsafe"], check=True)
    return folder


def test_oldest_and_newest_poetry_show_the_same_table(project: Path, plugin: Path) -> None:
    """The sizes come from the index, and from an environment that one of them created."""
    install(project)
    answers = {}
    for version in OLDEST_AND_NEWEST:
        for origin in ("index", "environment"):
            done = subprocess.run(
                [poetry_python(version), "-c", RUN, "--json", "--from", origin],
                cwd=project,
                env=os.environ | {"PYTHONPATH": str(plugin), "PYTHONDONTWRITEBYTECODE": "1"},
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, f"{version}: {done.stderr}"
            answers[version, origin] = json.loads(done.stdout)
            assert set(column(answers[version, origin], "from").values()) == {origin}
    for origin in ("index", "environment"):
        first = answers[OLDEST_AND_NEWEST[0], origin]
        assert all(answers[version, origin] == first for version in OLDEST_AND_NEWEST)


@pytest.mark.engine
def test_built_image_has_installed_sizes(
    project: Path, engine: DockerEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The image has the default tag or a given name; the sizes equal those of the environment."""
    for name in ("DOCKER_HOST", "DOCKER_CONFIG", "PATH"):
        if name in engine.env:
            monkeypatch.setenv(name, engine.env[name])
    missing = poetry(project, *LAYERS, "--from", "image")
    assert missing.status == 1
    assert "The sizes cannot be read from the image acme-forecast:1.2.3" in missing.err
    assert "No such image" in missing.err
    build = [sys.executable, "-m", "poetry", "docker", "build", "--", "--network=host"]
    built = subprocess.run(build, cwd=project, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    shown = poetry(project, *LAYERS, "--json")
    found = data(shown)
    assert found["unit"] == "installed"
    assert set(column(found, "from").values()) == {"image"}
    assert no_secret(shown)
    engine.docker("tag", "acme-forecast:1.2.3", "elsewhere:x")
    engine.docker("rmi", "acme-forecast:1.2.3")
    named = data(poetry(project, *LAYERS, "--json", "--image", "elsewhere:x"))
    assert named == found
    engine.docker("rmi", "elsewhere:x")
    install(project)
    here = column(data(poetry(project, *LAYERS, "--json", "--from", "environment")), "bytes")
    for name, size in column(found, "bytes").items():
        assert abs(size - here[name]) < 200, name  # each installer adds small files
