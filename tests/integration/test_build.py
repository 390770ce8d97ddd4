"""The image that a new user gets: from the built wheel, in a separate Poetry, with BuildKit."""

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
from acme import IMAGE_PYTHON, PASSWORD, AcmeIndex, Project, make_shop
from builds import (
    NETWORK,
    build,
    failed_build,
    inspect_image,
    names,
    read_progress,
    without_cache,
)

from poetry_docker_cache.docker.image_labels import BASE_NAME, CONTENTS, decode

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from builds import Steps
    from clean_poetry import Poetry
    from engines import DockerEngine

pytestmark = pytest.mark.engine

ODD = "a \"b\" 'c' $HOME ${x} \\n `id` #é\t<i>%s</i> "
TAG = "acme-shop:1.2.3"
ANEW = ("--with=docs", *without_cache("dependencies"))  # other tests may have built this layer


@dataclass(frozen=True, kw_only=True)
class Built:
    """A project, its build, and the content of its image."""

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
    """Build an ordinary project whose only plugin settings are unusual labels and variables."""
    project = make_shop(tmp_path_factory.mktemp("build") / "shop", poetry_home(engine), index)
    project.configure(env={"ODD": ODD}, labels={"com.acme.odd": ODD})
    before = sorted(project.folder.rglob("*"))
    steps = build(project, "--no-cache")  # ignores layers of other tests
    assert sorted(project.folder.rglob("*")) == before, "the build wrote into the project"
    (image,) = json.loads(engine.docker("image", "inspect", TAG).stdout)
    return Built(project=project, steps=steps, found=inspect_image(engine, TAG), image=image)


@pytest.fixture
def copy(built: Built, tmp_path: Path) -> Project:
    """Return a copy of the built project."""
    subprocess.run(["cp", "-a", built.project.folder, tmp_path / "shop"], check=True)
    return Project(tmp_path / "shop", built.project.poetry)


def test_container_runs_the_only_script(engine: DockerEngine, built: Built) -> None:
    """The container runs the project's script without any configuration."""
    assert engine.run(TAG) == "shop 1.1 1.0\n"
    assert built.image["Config"]["Cmd"] == ["acme-shop"]


def test_user_can_only_write_to_home(built: Built) -> None:
    """Code, environment and working directory are read-only; the home is empty and its own."""
    found = built.found
    assert found["user"] == [10001, 10001]
    assert built.image["Config"]["User"] == "10001:10001"
    assert found["home"] == ["/home/app", 10001, [], True]
    assert found["folder"] == "/app"
    assert found["writable"] == []
    assert found["owners"] == [0]


def test_image_has_exactly_the_locked_dependencies(built: Built, tmp_path: Path) -> None:
    """Names and versions are those that `poetry install --only main` installs."""
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


def test_build_leaves_nothing_in_the_image(built: Built) -> None:
    """No pip, Poetry, dev tool, compiler, cache, package list, build script or build path."""
    found = built.found
    assert found["prefix"] == "/venv"
    assert found["importable"] == []
    assert not [name for name in found["commands"] if "pip" in name or "lint" in name]
    for nothing in ("compilers", "direct_url", "bytecode", "apt", "leftovers", "files"):
        assert found[nothing] == [], nothing


def test_history_names_the_layers(engine: DockerEngine, built: Built) -> None:
    """BuildKit shows the copied path, but not the stage; its comment is always the same."""
    shown = engine.docker("history", "--no-trunc", "--format", "{{.CreatedBy}}", TAG).stdout
    copied = re.findall(r"^COPY /([^/]+)/(?:\.\./)?venv /venv # build", shown, re.MULTILINE)
    assert copied[0] == "application"
    assert sorted(copied[1:]) == sorted(built.steps.layers)


def test_labels_and_variables_are_unchanged(built: Built) -> None:
    """Quotes, dollars and backslashes are unchanged; metadata becomes OCI labels."""
    oci = "org.opencontainers.image"
    labels = dict(built.image["Config"]["Labels"])
    assert labels.pop(BASE_NAME).endswith(f"python:{IMAGE_PYTHON}-slim")
    assert decode({CONTENTS: labels.pop(CONTENTS)})
    assert labels == {
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


def test_source_replaces_pypi_everywhere(built: Built, index: AcmeIndex) -> None:
    """Dependencies and build backend are downloaded with the project's password."""
    assert any(name.startswith("poetry_core-") for name in index.downloads())
    assert built.steps.installed == ("acme-lib", "acme-native", "acme-util")


def test_poetry_installs_the_same_packages(
    engine: DockerEngine, built: Built, copy: Project, index: AcmeIndex
) -> None:
    """It installs what pip cannot, comes from the project's source, and is not in the image."""
    # pip evaluates a marker about the kernel differently.
    lock = copy.folder / "poetry.lock"
    marked = re.sub(
        r"(?m)^groups = .*$(?!\nmarkers)",
        "\\g<0>\nmarkers = 'platform_release != \"5\"'",
        lock.read_text(),
    )
    lock.write_text(marked)
    steps = build(copy, "--tag=shop:installer", *without_cache("source"))
    assert steps.installed == built.steps.installed
    assert any(name.startswith("poetry-") for name in index.downloads())
    found = inspect_image(engine, "shop:installer")
    for what in ("distributions", "commands", "importable", "leftovers", "direct_url", "bytecode"):
        assert found[what] == built.found[what], what
    assert engine.run("shop:installer") == engine.run(TAG)


def test_other_groups_and_extras(engine: DockerEngine, copy: Project) -> None:
    """They are named on the command line, as for `poetry install`."""
    build(copy, "--with=docs", "-E", "more", "--tag=acme-shop:more")
    found = names(inspect_image(engine, "acme-shop:more"))
    assert found == ["acme-docs", "acme-extra", "acme-lib", "acme-native", "acme-shop", "acme-util"]


def test_image_settings_are_applied(engine: DockerEngine, copy: Project) -> None:
    """User, working directory, files, ports, health check and signal."""
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
    found = inspect_image(engine, "shop:probed")
    assert found["user"] == [1234, 5678]
    assert found["home"] == ["/home/app", 1234, [], True]
    assert (found["folder"], found["files"]) == ("/srv/shop", ["README.md"])
    assert found["writable"] == []


def test_vendored_dockerfile(engine: DockerEngine, copy: Project, tmp_path: Path) -> None:
    """`docker build .` and `build --file` make the same image from the same cache.

    The scripts are a named context for one of them, and are copied by the other.
    """
    poetry, folder = copy.poetry, copy.folder
    copy.configure(syntax=False)  # Docker Hub may be unreachable
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


def test_exported_dockerfile_through_a_pipe(
    engine: DockerEngine, copy: Project, tmp_path: Path
) -> None:
    """`docker build -f -` accepts the output of `export -o -`, at any verbosity."""
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


def recording_docker(folder: Path, path: str, *, status: int = 0) -> dict[str, str]:
    """Put a docker first on the PATH that records its arguments and calls the real one."""
    (folder / "bin").mkdir()
    shim = folder / "bin" / "docker"
    log = str(folder / "calls")
    shim.write_text(SHIM.format(python=sys.executable, log=log, path=path, status=status))
    shim.chmod(0o755)
    return {"PATH": f"{folder / 'bin'}{os.pathsep}{path}"}


def test_dry_run_prints_the_command(copy: Project, tmp_path: Path) -> None:
    """The command is exact, with placeholders for the temporary files; nothing is built."""
    env = recording_docker(tmp_path, copy.poetry.env["PATH"])
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
    assert [a for a, _ in differing] == [
        "<dockerfile>",
        "id=auth,src=<auth>",
        "scripts=<scripts>",
        "<metadata>",
    ]
    assert all(str(copy.poetry.temporary) in b for _, b in differing)


def test_exit_status_is_that_of_buildkit(copy: Project, tmp_path: Path) -> None:
    """125 for an option that buildx does not know; other codes are passed on."""
    done = copy.poetry.run(copy.folder, "docker", "build", "--", "--no-such-option", check=False)
    assert done.returncode == 125
    env = recording_docker(tmp_path, copy.poetry.env["PATH"], status=37)
    done = copy.poetry.run(copy.folder, "docker", "build", check=False, env=env)
    assert done.returncode == 37
    assert not list(copy.poetry.temporary.iterdir())


@pytest.mark.parametrize("progress", [(), ("--progress=plain",)], ids=["ours", "BuildKit's"])
def test_failed_build_ends_with_cause_and_fix(copy: Project, progress: tuple[str, ...]) -> None:
    """The last line names what to correct, and no line of a Dockerfile that the user lacks.

    Only one stage is built: BuildKit may report a step that it cancels instead of the one that
    failed ("failed to commit … snapshot … does not exist").
    """
    command = ("docker", "build", "--target=base", *progress, *NETWORK)
    line = "RUN echo I am broken && exit 3"
    copy.configure(instructions={"runtime": [line]})
    done = copy.poetry.run(copy.folder, *command, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-3:] == [
        "The step `base` failed (exit code: 3): I am broken",
        "Correct this line of `instructions`:",
        line,
    ]
    assert ("Dockerfile:" in done.stderr) == bool(progress)


@pytest.mark.parametrize(
    ("settings", "end"),
    [
        (
            {"base_image": "python:{python}-slimm", "python": "3.13"},
            [
                "The image python:3.13-slimm does not exist.",
                "Correct it in [tool.poetry-docker-cache]:",
                'base-image = "python:{python}-slimm"',
                'python = "3.13"',
            ],
        ),
        (
            {"python": "3.13.99"},
            [
                "The image python:3.13.99-slim does not exist.",
                "Set another Python in [tool.poetry-docker-cache], for example:",
                'python = "3.13"',
            ],
        ),
    ],
)
def test_base_image_that_does_not_exist(
    copy: Project, settings: dict[str, str], end: list[str]
) -> None:
    """The last lines are those of the settings that choose it."""
    copy.configure(**settings)
    done = copy.poetry.run(copy.folder, "docker", "build", *NETWORK, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-len(end) :] == end


@pytest.mark.parametrize(
    ("options", "stage"),
    [(("--no-cache",), "(dependencies|build-backend)"), (ANEW, "dependencies")],
    ids=["pip", "Poetry"],
)
def test_refused_password(copy: Project, options: tuple[str, ...], stage: str) -> None:
    """The log names the source and says how to configure it, for both installers."""
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


def test_missing_password(
    copy: Project, poetry_home: Callable[[DockerEngine], Poetry], engine: DockerEngine
) -> None:
    """Without credentials, the error says how to set them."""
    stranger = Project(copy.folder, poetry_home(engine))
    log = failed_build(stranger, *ANEW)
    assert "no credentials were given" in log
    assert "poetry config http-basic.acme" in log


def test_files_with_private_umask_are_readable(engine: DockerEngine, copy: Project) -> None:
    """Files that only their owner can read on the host are readable for the image's user."""
    copy.write("conf/settings.ini", "[shop]\n")
    copy.configure(files=["conf"])
    for path in [copy.folder, *copy.folder.rglob("*")]:
        path.chmod(0o700 if path.is_dir() else 0o600)
    build(copy, "--tag=shop:umask")
    assert engine.run("shop:umask") == "shop 1.1 1.0\n"
    assert engine.run("shop:umask", "cat", "conf/settings.ini") == "[shop]\n"
    assert inspect_image(engine, "shop:umask")["writable"] == []


def test_build_from_another_directory(copy: Project, tmp_path: Path) -> None:
    """`-C` builds the same image and creates no virtual environment."""
    done = copy.poetry.run(
        tmp_path, "-C", str(copy.folder), "docker", "build", "--", "--network=host"
    )
    assert done.returncode == 0
    assert not (copy.folder / ".venv").exists()


# The last two tests build without a cache: later builds share no layer with the earlier ones.
def test_only_named_files_are_sent(copy: Project) -> None:
    """A data set beside the package is neither sent to the builder nor rebuilds anything."""
    copy.write("dump.bin", os.urandom(5_000_000))
    copy.replace("README.md", "# Shop", "# A shop")
    steps = build(copy, "--no-cache", "--target=check")
    assert 0 < steps.sent < 100_000


def test_token_as_user_name_is_hidden(copy: Project, index: AcmeIndex) -> None:
    """Some services use a token as the user name; pip hides only passwords."""
    token = "tok_4f9c2e"
    index.add_user(token, "")
    copy.poetry.run(copy.folder, "config", "http-basic.acme", token, "")
    try:
        steps = build(copy, "--no-cache", "--target=check")
    finally:
        copy.log_in(index.password)
    assert "Downloading acme" in steps.messages
    assert token not in steps.messages
