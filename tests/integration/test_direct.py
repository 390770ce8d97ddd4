"""Dependencies from git servers, URLs and files, all in one build."""

from __future__ import annotations

import functools
import json
import os
import random
import string
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import tomlkit
from acme import USER, AcmeIndex, Project
from builds import build, failed_build, inspect_image, names
from clean_poetry import POETRY
from git_servers import git_over_http, git_over_ssh, make_repository
from harmless import edit_harmlessly
from leaks import Search, history, search_history
from wheels import Extension, make_sdist, make_wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from clean_poetry import Poetry
    from engines import DockerEngine
    from reference import PoetryInstall

pytestmark = pytest.mark.engine

CANARY = "".join(random.choices(string.ascii_letters, k=14))
PASSWORD = f"g1t {{x}} {CANARY} $HOME'\"%41\\"
PYPROJECT = """\
[tool.poetry]
package-mode = false
version = "1.0"

[tool.poetry.dependencies]
python = ">=3.11,<4"
acme-lib = "1.0"
acme-mail = {{ git = "{http}/mono.git", subdirectory = "packages/mail", develop = true }}
acme-queue = {{ git = "{ssh}/queue.git", branch = "main" }}
acme-extra = {{ url = "{files}/acme_extra-1.0-py3-none-any.whl" }}
acme-sent = {{ url = "{files}/acme_sent-1.0.tar.gz" }}
acme-file = {{ path = "vendor/acme_file-1.0-py3-none-any.whl" }}
acme-packed = {{ path = "vendor/acme-packed/acme_packed-1.0.tar.gz" }}
acme-beside = {{ path = "../wheels/acme_beside-1.0-py3-none-any.whl" }}
acme-outer = {{ path = "../wheels/acme_outer-1.0.tar.gz" }}

[tool.poetry.group.none.dependencies]
acme-util = "*"

[[tool.poetry.source]]
name = "acme"
url = "{index}"

[tool.poetry-docker-cache]
image = "acme-direct"
python = "3.13"
poetry-version = "{poetry}"
files = []
ssh = true
ssh-known-hosts = ["{known_host}"]
"""
DIRECT = ("beside", "extra", "file", "mail", "outer", "packed", "queue", "sent")
NAMES = sorted((*DIRECT, "lib", "util"))
COMPILED = ("packed", "queue", "sent")
"""From a file, from git and from a URL."""
CODE = """\
#include <Python.h>

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "acme_NAME", "", -1, NULL};

PyMODINIT_FUNC PyInit_acme_NAME(void) {
    return PyModule_Create(&module);
}
"""


@dataclass(frozen=True, kw_only=True)
class Built:
    """The project, and its image."""

    project: Project
    image: str
    mail: str
    """The commit of its repository."""
    git: str
    """The URL of the repository with a password."""
    key: str
    """The host key of the ssh server."""
    other_key: str
    ssh: tuple[str, ...]
    """Options of a container that needs to reach the ssh server."""


def compiled(name: str) -> Extension:
    """Return a module in C."""
    return Extension(code=CODE.replace("NAME", name))


def sources(name: str, *requires: str) -> dict[str, str]:
    """Return the files of a package that poetry-core builds."""
    module = name.replace("-", "_")
    text = f'[project]\nname = "{name}"\nversion = "1.0"\ndependencies = {json.dumps(requires)}\n'
    text += '[build-system]\nrequires = ["poetry-core"]\n'
    text += 'build-backend = "poetry.core.masonry.api"\n'
    return {"pyproject.toml": text, f"src/{module}/__init__.py": 'VERSION = "1.0"\n'}


def sources_in_c(name: str) -> dict[str, str]:
    """Return the files of a package that setuptools builds."""
    module = f"acme_{name}"
    text = f'[project]\nname = "acme-{name}"\nversion = "1.0"\n'
    text += '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
    made = f'Extension("{module}", ["{module}.c"])'
    return {
        "pyproject.toml": text,
        "setup.py": f"from setuptools import Extension, setup\nsetup(ext_modules=[{made}])\n",
        f"{module}.c": compiled(name).code,
    }


def log_in(poetry: Poetry, index: AcmeIndex, git: str, password: str | None) -> None:
    """Store credentials as `poetry config` does, for the index and for the repository."""
    folder = Path(poetry.env["POETRY_CONFIG_DIR"])
    logins = {"acme": {"username": USER, "password": index.password}}
    if password is not None:
        logins["git.acme"] = {"username": "ci", "password": password}
    repositories = {"repositories": {"git.acme": {"url": git}}}
    (folder / "config.toml").write_text(tomlkit.dumps(repositories), encoding="utf-8")
    (folder / "auth.toml").write_text(tomlkit.dumps({"http-basic": logins}), encoding="utf-8")


@pytest.fixture(scope="module")
def built(
    engine: DockerEngine,
    registry: str,
    poetry_home: Callable[[DockerEngine], Poetry],
    index: AcmeIndex,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Built]:
    """Lock and build with every kind of direct dependency; no password may be left."""
    repositories = tmp_path_factory.mktemp("git")
    keys = tmp_path_factory.mktemp("ssh")
    mail = sources("acme-mail", "acme-util")
    mail = {f"packages/mail/{name}": text for name, text in mail.items()}
    commit = make_repository(repositories / "mono.git", mail)
    make_repository(keys / "queue.git", sources_in_c("queue"))
    with (
        git_over_http(repositories, "ci", PASSWORD) as git,
        git_over_ssh(engine, keys) as ssh,
    ):
        poetry = poetry_home(engine)
        poetry = replace(poetry, env={**poetry.env, "SSH_AUTH_SOCK": ssh.agent})
        log_in(poetry, index, f"{git}/mono.git", PASSWORD)
        (keys / "known_hosts").write_text(f"{ssh.known_host}\n", encoding="utf-8")
        (poetry.home / ".gitconfig").write_text(
            f'[core]\nsshCommand = "ssh -o UserKnownHostsFile={keys / "known_hosts"}"\n',
            encoding="utf-8",
        )
        project = Project(tmp_path_factory.mktemp("direct") / "app", poetry)
        text = PYPROJECT.format(
            http=git,
            ssh=ssh.url,
            files=index.url.replace("/simple/", "/packages"),
            index=index.url,
            known_host=ssh.known_host,
            poetry=POETRY,
        )
        project.write("pyproject.toml", text.encode())
        project.write(".dockerignore", "*.tar.gz\nvendor\n")
        packed = project.folder / "vendor" / "acme-packed"
        packed.mkdir(parents=True)
        make_wheel(packed.parent, "acme-file")
        make_sdist(packed, "acme-packed", requires=["acme-util"], extension=compiled("packed"))
        wheels = project.write("../wheels/dump.bin", os.urandom(2_000_000)).parent
        make_wheel(wheels, "acme-beside")
        make_sdist(wheels, "acme-outer")
        make_sdist(index.packages, "acme-sent", extension=compiled("sent"))
        project.lock()
        image = f"{registry}/direct-{os.urandom(4).hex()}"
        before = history(engine)
        options = (
            "--push",
            f"--tag={image}:1",
            f"--cache-to=type=registry,ref={image}:cache,mode=max",
            "--no-cache",  # another test may have built a layer with the same packages
        )
        steps = build(project, *options, "--", "--provenance=mode=max")
        # A failure shows what the engine ran, and all output.
        assert steps.installed == tuple(f"acme-{name}" for name in NAMES), steps
        assert 0 < steps.sent < 1_000_000, "only what is named is sent"
        search = Search(CANARY)
        search.text("log", steps.messages + steps.said)
        search.image("image", f"{image}:1")
        search.image("cache", f"{image}:cache")
        search.folder("disk", project.folder.parent)
        search_history(search, engine, before)
        assert search.found == set()
        yield Built(
            project=project,
            image=f"{image}:1",
            mail=commit,
            git=f"{git}/mono.git",
            key=ssh.known_host.split()[2],
            other_key=(keys / "user.pub").read_text(encoding="utf-8").split()[1],
            ssh=(
                f"--volume={ssh.agent}:/agent",
                "--env=SSH_AUTH_SOCK=/agent",
                f"--volume={keys / 'known_hosts'}:/root/.ssh/known_hosts:ro",
            ),
        )


def test_distributions_match_poetry_install(
    engine: DockerEngine, built: Built, poetry_install: PoetryInstall
) -> None:
    """The distributions are those that `poetry install` installs."""
    found = inspect_image(engine, built.image)
    repository = built.project.folder.parent
    assert found["distributions"] == poetry_install(
        built.project, "--only=main", repository=repository, container=built.ssh
    )
    assert names(found) == [f"acme-{name}" for name in NAMES]
    modules = ", ".join(f"acme_{name}" for name in NAMES)
    code = f"import shutil, {modules}; print(shutil.which('git'), acme_mail.__file__)"
    said = engine.run(built.image, "python", "-c", code)
    assert said == "None /venv/lib/python3.13/site-packages/acme_mail/__init__.py\n"


def test_no_trace_of_the_build_remains(engine: DockerEngine, built: Built) -> None:
    """No clone or build path remains; the URL of a repository does, with the locked commit."""
    found = inspect_image(engine, built.image)
    assert {Path(path).parent.name for path in found["direct_url"]} == {
        f"acme_{name}-1.0.dist-info" for name in ("extra", "mail", "queue", "sent")
    }
    assert found["compilers"] == []
    assert found["leftovers"] == []
    code = "import os, importlib.metadata as m; print(os.path.exists('/venv/src'));"
    code += "print(m.distribution('acme-mail').read_text('direct_url.json'))"
    src, direct = engine.run(built.image, "python", "-c", code).splitlines()
    assert src == "False"
    assert json.loads(direct) == {
        "url": built.git,
        "vcs_info": {"vcs": "git", "requested_revision": "HEAD", "commit_id": built.mail},
        "subdirectory": "packages/mail",
    }


# Prints each file of the environment that differs from the RECORD beside it.
CHANGED = """
import base64, hashlib, importlib.metadata as metadata
for distribution in metadata.distributions():
    for file in distribution.files:
        content = file.read_binary()
        if file.hash:
            found = base64.urlsafe_b64encode(hashlib.new(file.hash.mode, content).digest())
            if found.rstrip(b"=").decode() != file.hash.value or file.size != len(content):
                print(file)
        if content.startswith(b"\\x7fELF") and (b".debug_info" in content or b"/tmp/" in content):
            print("not stripped", file)
"""


def test_compiled_files_are_stripped(engine: DockerEngine, built: Built) -> None:
    """The stripped files match the RECORD, like all others."""
    assert engine.run(built.image, "python", "-c", CHANGED) == ""
    modules = [f"acme_{name}" for name in COMPILED]
    code = f"print(*(__import__(name).__file__.endswith('.so') for name in {modules}))"
    assert engine.run(built.image, "python", "-c", code) == "True True True\n"


def test_edits_install_nothing(built: Built) -> None:
    """The layer stays cached."""
    edit_harmlessly(built.project, wider=('acme-lib = "1.0"', 'acme-lib = "<=1.0"'))
    steps = build(built.project, "--tag=acme-direct:2")
    assert "direct" in steps.cached
    assert (steps.installed, steps.rebuilt) == ((), frozenset())


def test_rebuild_is_identical(engine: DockerEngine, built: Built) -> None:
    """Clone, download and build again: this layer and all others are identical."""
    build(built.project, "--tag=acme-direct:cached")
    steps = build(built.project, "--tag=acme-direct:rebuilt", "--", "--no-cache-filter=direct")
    assert "direct" in steps.ran
    inspect = ("image", "inspect", "--format", "{{json .RootFS.Layers}}")
    cached, rebuilt = (
        engine.docker(*inspect, f"acme-direct:{tag}") for tag in ("cached", "rebuilt")
    )
    assert cached.stdout == rebuilt.stdout


def test_commands_know_direct_dependencies(built: Built) -> None:
    """`build` passes the agent on, and `layers` has the layer."""
    run = functools.partial(built.project.poetry.run, built.project.folder, "docker")
    assert " --ssh default " in run("build", "--dry-run").stdout
    assert "--ssh" not in run("build", "--dry-run", "--only=none").stdout
    told = json.loads(run("layers", "--json", "--image", built.image).stdout)
    kinds = {(package["name"], package["kind"], package["layer"]) for package in told["packages"]}
    direct = {f"acme-{name}" for name in DIRECT}
    assert {name for name, *where in kinds if where == ["direct", "direct"]} == direct
    assert all(package["exact"] for package in told["packages"])


def test_refused_login(built: Built, index: AcmeIndex) -> None:
    """The log ends with the address, and with what to type."""
    log_in(built.project.poetry, index, built.git, None)
    try:
        said = failed_build(built.project, "--", "--no-cache-filter=direct")
    finally:
        log_in(built.project.poetry, index, built.git, PASSWORD)
    assert f"{built.git} refused access" in said
    assert f"poetry config repositories.NAME {built.git}" in said


def test_host_with_another_key(built: Built) -> None:
    """The server is refused, regardless of the agent's keys."""
    text = built.project.read("pyproject.toml")
    built.project.replace("pyproject.toml", built.key, built.other_key)
    try:
        said = failed_build(built.project, "--", "--no-cache-filter=direct")
    finally:
        built.project.write("pyproject.toml", text.encode())
    assert "does not match `ssh-known-hosts`" in said
