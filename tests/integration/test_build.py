"""The image that a stranger gets: from the built wheel in a clean Poetry, on a real BuildKit."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from acme import PASSWORD, AcmeIndex, Project, make_shop
from builds import anew, build, failed_build, look, names, read_progress

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from builds import Steps
    from clean_poetry import Poetry
    from engines import DockerEngine

pytestmark = pytest.mark.engine

ODD = "a \"b\" 'c' $HOME ${x} \\n `id` #é\t<i>%s</i> "
TAG = "acme-shop:1.2.3"


@dataclass(frozen=True, kw_only=True)
class Built:
    """A project, what its build did, and what is in the image."""

    project: Project
    steps: Steps
    found: dict[str, Any]
    image: dict[str, Any]


@pytest.fixture(scope="module")
def built(
    engine: DockerEngine,
    poetry_home: Callable[[DockerEngine], Poetry],
    index: AcmeIndex,
    tmp_path_factory: pytest.TempPathFactory,
) -> Built:
    """Build an ordinary project; of the plugin's settings it has odd labels and variables only."""
    project = make_shop(tmp_path_factory.mktemp("build") / "shop", poetry_home(engine), index)
    project.configure(env={"ODD": ODD}, labels={"com.acme.odd": ODD})
    before = sorted(project.folder.rglob("*"))
    steps = build(project, "--no-cache")  # of other tests
    assert sorted(project.folder.rglob("*")) == before, "the build wrote into the project"
    (image,) = json.loads(engine.docker("image", "inspect", TAG).stdout)
    return Built(project=project, steps=steps, found=look(engine, TAG), image=image)


@pytest.fixture
def copy(built: Built, tmp_path: Path) -> Project:
    """Give a copy of the built project."""
    subprocess.run(["cp", "-a", built.project.folder, tmp_path / "shop"], check=True)
    return Project(tmp_path / "shop", built.project.poetry)


def test_runs_the_only_script(engine: DockerEngine, built: Built) -> None:
    """The container does what the project is for, without a word of configuration."""
    assert engine.run(TAG) == "shop 1.1 1.0\n"
    assert built.image["Config"]["Cmd"] == ["acme-shop"]


def test_user_can_write_nothing_but_its_home(built: Built) -> None:
    """Neither code nor environment nor working directory; the home is empty and its own."""
    found = built.found
    assert found["user"] == [10001, 10001]
    assert built.image["Config"]["User"] == "10001:10001"
    assert found["home"] == ["/home/app", 10001, [], True]
    assert found["folder"] == "/app"
    assert found["writable"] == []
    assert found["owners"] == [0]


def test_holds_exactly_the_locked_dependencies(built: Built, tmp_path: Path) -> None:
    """The same names and versions as `poetry install --only main` puts into a fresh environment."""
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    built.project.poetry.run(
        built.project.folder, "install", "--only=main", env={"VIRTUAL_ENV": str(venv)}
    )
    listing = (
        "import importlib.metadata as m, json;"
        "print(json.dumps(sorted([d.metadata['Name'], d.version] for d in m.distributions())))"
    )
    shown = subprocess.run(
        [venv / "bin" / "python", "-c", listing], check=True, capture_output=True, text=True
    )
    assert built.found["distributions"] == json.loads(shown.stdout)
    assert names(built.found) == ["acme-lib", "acme-native", "acme-shop", "acme-util"]


def test_nothing_of_the_build_stays(built: Built) -> None:
    """No pip, Poetry, dev tool, compiler, cache, list of packages, script or path of the build."""
    found = built.found
    assert found["prefix"] == "/venv"
    assert found["importable"] == []
    assert not [name for name in found["commands"] if "pip" in name or "lint" in name]
    for nothing in ("compilers", "direct_url", "bytecode", "apt", "leftovers", "files"):
        assert found[nothing] == [], nothing


def test_labels_and_variables_arrive_exactly(built: Built) -> None:
    """Quotes, dollars and backslashes are what they were; metadata becomes OCI labels."""
    oci = "org.opencontainers.image"
    assert built.image["Config"]["Labels"] == {
        f"{oci}.title": "acme-shop",
        f"{oci}.version": "1.2.3",
        f"{oci}.description": 'Sells "things" for $5 \\ each',
        f"{oci}.licenses": "MIT",
        f"{oci}.authors": "Ada Löwe <ada@acme.example>",
        f"{oci}.url": "https://acme.example/shop",
        "com.acme.odd": ODD,
    }
    environment = built.found["environment"]
    assert environment["ODD"] == ODD
    assert environment["VIRTUAL_ENV"] == "/venv"
    assert environment["PATH"].split(":")[0] == "/venv/bin"
    assert (environment["HOME"], environment["USER"]) == ("/home/app", "app")


def test_all_comes_from_the_source_that_replaces_pypi(built: Built, index: AcmeIndex) -> None:
    """With the password of the project: the dependencies, and the build backend."""
    assert "Successfully installed" in built.steps.messages
    assert any(name.startswith("poetry_core-") for name in index.downloads())
    assert built.steps.installed == ("acme-lib", "acme-native", "acme-util")


def test_poetry_gives_the_same_image(
    engine: DockerEngine, built: Built, copy: Project, index: AcmeIndex
) -> None:
    """It comes from the project's own source, installs the same, and is not in the image."""
    # pip reads a marker about the kernel in another way.
    lock = copy.folder / "poetry.lock"
    marked = re.sub(
        r"(?m)^groups = .*$", "\\g<0>\nmarkers = 'platform_release != \"5\"'", lock.read_text()
    )
    lock.write_text(marked)
    steps = build(copy, "--tag=shop:installer", *anew("source"))
    assert steps.installed == built.steps.installed
    assert any(name.startswith("poetry-") for name in index.downloads())
    found = look(engine, "shop:installer")
    for what in ("distributions", "commands", "importable", "leftovers", "direct_url", "bytecode"):
        assert found[what] == built.found[what], what
    assert engine.run("shop:installer") == engine.run(TAG)


def test_other_groups_and_extras(engine: DockerEngine, copy: Project) -> None:
    """Named on the command line, as for `poetry install`."""
    build(copy, "--with=docs", "-E", "more", "--tag=acme-shop:more")
    found = names(look(engine, "acme-shop:more"))
    assert found == ["acme-docs", "acme-extra", "acme-lib", "acme-native", "acme-shop", "acme-util"]


def test_settings_of_the_image_arrive(engine: DockerEngine, copy: Project) -> None:
    """Who it runs as and where, its files, ports, health check and signal."""
    copy.configure(
        user="1234:5678",
        workdir="/srv/shop",
        files=["README.md"],
        entrypoint=["acme-shop"],
        ports=[8000, "9/udp"],
        healthcheck={"command": ["acme-shop"], "interval": "30s", "retries": 2},
        stop_signal="SIGINT",
    )
    build(copy, "--tag=shop:settings")
    assert engine.run("shop:settings") == "shop 1.1 1.0\n"
    (image,) = json.loads(engine.docker("image", "inspect", "shop:settings").stdout)
    config = image["Config"]
    assert (config["User"], config["WorkingDir"]) == ("1234:5678", "/srv/shop")
    assert (config["Entrypoint"], config.get("Cmd")) == (["acme-shop"], None)
    assert sorted(config["ExposedPorts"]) == ["8000/tcp", "9/udp"]
    assert config["StopSignal"] == "SIGINT"
    check = {"Test": ["CMD", "acme-shop"], "Interval": 30_000_000_000, "Retries": 2}
    assert config["Healthcheck"] == check
    copy.configure(entrypoint=[])
    build(copy, "--tag=shop:probed")
    found = look(engine, "shop:probed")
    assert found["user"] == [1234, 5678]
    assert found["home"] == ["/home/app", 1234, [], True]
    assert (found["folder"], found["files"]) == ("/srv/shop", ["README.md"])
    assert found["writable"] == []


def test_vendored_dockerfile(engine: DockerEngine, copy: Project, tmp_path: Path) -> None:
    """`docker build .` and `build --file` make the same image from the same cache.

    The scripts are a named context in one of them and copied in the other.
    """
    poetry, folder = copy.poetry, copy.folder
    copy.configure(syntax=False)  # the frontend of Docker Hub may be out of reach
    auth = tmp_path / "auth.toml"
    poetry.run(folder, "docker", "export", f"--auth-file={auth}")
    assert auth.stat().st_mode & 0o777 == 0o600
    poetry.run(folder, "docker", "export", "--check")
    secret = f"id=auth,src={auth}"
    command = ("build", "--progress=rawjson", "--network=host", "--secret", secret)
    done = engine.docker(*command, "-t", "shop:vendored", str(folder))
    assert engine.run("shop:vendored") == "shop 1.1 1.0\n"
    stages = {"venv", "manifest", "dependencies", "build-backend", "application", "check"}
    vendored = read_progress(done.stderr)
    assert stages <= vendored.cached | vendored.ran
    # pyproject.toml was edited: the manifest is written again, and nothing is installed.
    assert not vendored.ran & (stages - {"manifest", "application"})
    assert vendored.installed == ()

    steps = build(copy, "--file=Dockerfile", "--tag=shop:file")
    assert not steps.ran & stages
    assert steps.installed == ()
    layers = [
        engine.docker("image", "inspect", "--format", "{{json .RootFS.Layers}}", image).stdout
        for image in ("shop:vendored", "shop:file", TAG)
    ]
    assert layers[0] == layers[1] == layers[2]

    copy.write("Dockerfile", copy.read("Dockerfile") + "# by hand\n")
    drifted = poetry.run(folder, "docker", "export", "--check", check=False)
    assert drifted.returncode == 1
    assert "-# by hand" in drifted.stdout
    foreign = poetry.run(folder, "docker", "export", check=False)
    assert foreign.returncode == 1
    assert "--force" in foreign.stderr
    assert copy.read("Dockerfile").endswith("# by hand\n")


def test_dockerfile_through_a_pipe(engine: DockerEngine, copy: Project, tmp_path: Path) -> None:
    """`export -o -` is what `docker build -f -` takes, at any verbosity."""
    copy.configure(syntax=False)
    auth = tmp_path / "auth.toml"
    export = ("docker", "export", "-o", "-", f"--auth-file={auth}", "-vvv")
    dockerfile = copy.poetry.run(copy.folder, *export).stdout
    options = ("--network=host", "--secret", f"id=auth,src={auth}", "-t", "shop:pipe")
    engine.docker("build", "-f", "-", *options, str(copy.folder), text=dockerfile)
    assert engine.run("shop:pipe") == "shop 1.1 1.0\n"


SHIM = """\
#!{python}
import json, os, sys
with open({log!r}, "a") as file:
    file.write(json.dumps(sys.argv[1:]) + "\\n")
if sys.argv[1:3] == ["buildx", "build"] and {status}:
    sys.exit({status})
os.environ["PATH"] = {path!r}
os.execvp("docker", sys.argv)
"""


def listening_docker(folder: Path, path: str, *, status: int = 0) -> dict[str, str]:
    """Put a docker before the real one that writes down its arguments; give the PATH."""
    (folder / "bin").mkdir()
    shim = folder / "bin" / "docker"
    log = str(folder / "calls")
    shim.write_text(SHIM.format(python=sys.executable, log=log, path=path, status=status))
    shim.chmod(0o755)
    return {"PATH": f"{folder / 'bin'}{os.pathsep}{path}"}


def test_dry_run_prints_what_would_run(copy: Project, tmp_path: Path) -> None:
    """Word for word, with placeholders for the temporary files; and it builds nothing."""
    env = listening_docker(tmp_path, copy.poetry.env["PATH"])
    options = ["--tag=shop:dry", "--target=manifest", "--progress=plain", "--", "--network=host"]
    options += ["--build-arg", f"ODD={ODD}"]
    shown = copy.poetry.run(copy.folder, "docker", "build", "--dry-run", *options, env=env)
    calls = (tmp_path / "calls").read_text().splitlines()
    assert not [call for call in calls if json.loads(call)[:2] == ["buildx", "build"]]

    copy.poetry.run(copy.folder, "docker", "build", *options, env=env)
    calls = (tmp_path / "calls").read_text().splitlines()
    (ran,) = [call for call in map(json.loads, calls) if call[:2] == ["buildx", "build"]]
    printed = shlex.split(shown.stdout)
    assert printed[0] == "docker"
    assert len(printed) == len(ran) + 1
    differing = [(a, b) for a, b in zip(printed[1:], ran, strict=True) if a != b]
    assert [a for a, _ in differing] == ["<dockerfile>", "id=auth,src=<auth>", "<metadata>"]
    assert all(str(copy.poetry.temporary) in b for _, b in differing)


def test_exit_status_is_that_of_buildkit(copy: Project, tmp_path: Path) -> None:
    """Whatever it is: 125 for an option that buildx does not know, others as they come."""
    done = copy.poetry.run(copy.folder, "docker", "build", "--", "--no-such-option", check=False)
    assert done.returncode == 125
    env = listening_docker(tmp_path, copy.poetry.env["PATH"], status=37)
    done = copy.poetry.run(copy.folder, "docker", "build", check=False, env=env)
    assert done.returncode == 37
    assert not list(copy.poetry.temporary.iterdir())


def test_failing_step_fails_the_build(copy: Project) -> None:
    """The log shows what failed."""
    copy.configure(instructions={"runtime": ["RUN echo I am broken && exit 3"]})
    assert "I am broken" in failed_build(copy)


@pytest.mark.parametrize(
    ("options", "stage"),
    [(("--no-cache",), "(dependencies|build-backend)"), (("--with=docs",), "dependencies")],
    ids=["pip", "Poetry"],
)
def test_refused_password(copy: Project, options: tuple[str, ...], stage: str) -> None:
    """The log names the source and says how to configure it, whoever was refused."""
    copy.log_in("wrong")
    try:
        log = failed_build(copy, *options)
    finally:
        copy.log_in(PASSWORD)
    assert re.search(rf"^ > \[{stage} ", log, re.MULTILINE), log
    assert "The package source 'acme'" in log
    assert "does not accept the credentials" in log
    assert "poetry config http-basic.acme" in log
    assert "POETRY_HTTP_BASIC_ACME_PASSWORD" in log


def test_no_password(
    copy: Project, poetry_home: Callable[[DockerEngine], Poetry], engine: DockerEngine
) -> None:
    """Who is not logged in at all learns how."""
    stranger = Project(copy.folder, poetry_home(engine))
    log = failed_build(stranger, "--with=docs")
    assert "no credentials were given" in log
    assert "poetry config http-basic.acme" in log


def test_files_of_a_private_umask(engine: DockerEngine, copy: Project) -> None:
    """What only its owner can read on the host can be read by the image's user."""
    copy.write("conf/settings.ini", "[shop]\n")
    copy.configure(files=["conf"])
    for path in [copy.folder, *copy.folder.rglob("*")]:
        path.chmod(0o700 if path.is_dir() else 0o600)
    build(copy, "--tag=shop:umask")
    assert engine.run("shop:umask") == "shop 1.1 1.0\n"
    assert engine.run("shop:umask", "cat", "conf/settings.ini") == "[shop]\n"
    assert look(engine, "shop:umask")["writable"] == []


def test_from_elsewhere(copy: Project, tmp_path: Path) -> None:
    """`-C` builds the same image, and no virtual environment of the project comes to be."""
    done = copy.poetry.run(
        tmp_path, "-C", str(copy.folder), "docker", "build", "--", "--network=host"
    )
    assert done.returncode == 0
    assert not (copy.folder / ".venv").exists()


# The last two build without a cache: what is built after them shares no layer with what was before.
def test_only_what_is_named_is_sent(copy: Project) -> None:
    """A data set beside the package neither travels to the builder nor rebuilds anything."""
    copy.write("dump.bin", os.urandom(5_000_000))
    copy.replace("README.md", "# Shop", "# A shop")
    steps = build(copy, "--no-cache", "--target=check")
    assert 0 < steps.sent < 100_000


def test_a_token_in_place_of_a_user_name_is_not_shown(copy: Project, index: AcmeIndex) -> None:
    """Some services take the token for the user; pip hides passwords only."""
    token = "tok_4f9c2e"
    index.add_user(token, "")
    copy.poetry.run(copy.folder, "config", "http-basic.acme", token, "")
    try:
        steps = build(copy, "--no-cache", "--target=check")
    finally:
        copy.log_in(index.password)
    assert "Looking in indexes: http" in steps.messages
    assert token not in steps.messages
