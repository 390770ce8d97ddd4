"""Tests of locks of Poetry 1.x and 2.0: images have the same packages as `poetry install`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from acme import SHOP, make_shop
from builds import build, inspect_image
from harmless import edit_harmlessly
from index import PrivateIndex
from older_locks import OLDER, write_older
from poetry_versions import poetry_python
from wheels import make_wheel

from poetry_docker_cache import inside
from poetry_docker_cache.system.compat import tomllib

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from acme import AcmeIndex, Project
    from clean_poetry import Poetry
    from engines import DockerEngine

SCRIPTS = Path(str(inside.__file__)).parent
LISTING = (
    "import importlib.metadata as m, json;"
    "print(json.dumps(sorted([d.metadata['Name'], d.version] for d in m.distributions())))"
)


def distributions(venv: Path, install: Callable[[str], object]) -> list[list[str]]:
    """Call `install` with a new environment; return the names and versions in it."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    install(str(venv))
    shown = subprocess.run(
        [venv / "bin" / "python", "-c", LISTING], check=True, capture_output=True, text=True
    )
    found: list[list[str]] = json.loads(shown.stdout)
    return found


# --- Locks written by an old Poetry --------------------------------------------------------------
PYPROJECT = """\
[tool.poetry]
name = "old-app"
version = "1.0"
description = ""
authors = []
packages = []

[tool.poetry.dependencies]
python = "^3.9"
Acme_Web = {{ version = "^1.0", extras = ["fast"] }}
acme-np = [
    {{ version = "^1.0", python = "<3.10" }},
    {{ version = "^2.0", python = ">=3.10" }},
]
acme-data = "*"
acme-win = {{ version = "*", platform = "win32" }}
acme-more = {{ version = "*", optional = true }}

[tool.poetry.extras]
more = ["acme-more"]

[tool.poetry.group.dev.dependencies]
acme-lint = "~1.0"

[tool.poetry.group.docs]
optional = true

[tool.poetry.group.docs.dependencies]
acme-docs = "*"

[[tool.poetry.source]]
name = "PyPI"
priority = "explicit"

[[tool.poetry.source]]
name = "acme"
url = "{url}"
"""
PACKAGES: dict[str, list[str]] = {
    "acme-web 1.5": ["acme-core>=1", "acme-loop; extra == 'fast'", "acme-slow; extra == 'slow'"],
    "acme-core 1.0": ["acme-green (!=0.4) ; platform_machine == 'x86_64'", "acme-text<2"],
    "acme-green 1.0": [],
    "acme-loop 1.0": ["acme-colour; sys_platform == 'win32'", "acme-text"],
    "acme-slow 1.0": [],
    "acme-colour 1.0": [],
    "acme-text 1.9": [],
    "acme-text 2.0": [],
    "acme-np 1.4": [],
    "acme-np 2.1": ["acme-core"],
    "acme-data 1.0": [
        "acme-np>=1.2; python_version < '3.10'",
        "acme-np>=2; python_version >= '3.10'",
    ],
    "acme-win 1.0": [],
    "acme-more 1.0": ["acme-deep"],
    "acme-deep 1.0": ["acme-more"],
    "acme-lint 1.0": ["acme-text"],
    "acme-docs 1.0": ["acme-web[slow]"],
}
CHOICES: dict[tuple[str, ...], tuple[str, ...]] = {
    ("--only=main", "--extras=more"): ("--group=main", "--extra=more"),
    ("--with=docs",): ("--group=main", "--group=dev", "--group=docs"),
    ("--only=dev",): ("--group=dev",),
}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve these packages without a password."""
    folder = tmp_path_factory.mktemp("packages")
    for package, requires in PACKAGES.items():
        name, version = package.split()
        make_wheel(folder, name, version, requires=requires)
    with PrivateIndex(folder, {}) as index:
        yield index.url


def run_poetry(version: str, folder: Path, *arguments: str, **env: str) -> str:
    """Run this version of Poetry in a project."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("POETRY_", "VIRTUAL_"))}
    own = {f"POETRY_{name}_DIR": str(folder.parent / name) for name in ("CONFIG", "CACHE", "DATA")}
    own |= {"POETRY_VIRTUALENVS_CREATE": "false", "POETRY_KEYRING_ENABLED": "false"}
    done = subprocess.run(
        [poetry_python(version), "-m", "poetry", *arguments, "--no-interaction", "--no-ansi"],
        cwd=folder,
        env={**kept, **own, **env},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def in_environment(version: str, folder: Path, command: tuple[str, ...], venv: str) -> None:
    """Run this version of Poetry in a project with a virtual environment."""
    run_poetry(version, folder, *command, VIRTUAL_ENV=venv)


def in_manifest(folder: Path, *arguments: str) -> list[list[str]]:
    """Write a project's manifest; return names and versions that this machine installs."""
    output = folder.parent / "manifest"
    command = [sys.executable, "-m", "manifest", *arguments, "--layers=dependencies"]
    command += [f"--project={folder}", f"--output={output}"]
    subprocess.run(command, cwd=SCRIPTS, check=True)
    packages = json.loads((output / "dependencies.json").read_text())["packages"]
    machine = os.uname().machine
    return sorted(
        [package["name"], package["version"]]
        for package in packages
        if machine in package.get("marker", machine)
    )


def test_lock_by_poetry_1_8(url: str, tmp_path: Path) -> None:
    """The manifest from each older format has the same packages as both Poetry 1.8 and 2.5."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "pyproject.toml").write_text(PYPROJECT.format(url=url))
    run_poetry("1.8.5", folder, "lock")
    path = folder / "poetry.lock"
    text = path.read_text()
    assert "generated by Poetry 1.8.5 " in text
    lock = tomllib.loads(text)
    assert lock["metadata"]["lock-version"] == "2.0"
    for number, (options, arguments) in enumerate(CHOICES.items()):
        command = ("install", "--no-root", *options)
        installed = {
            version: distributions(
                tmp_path / f"venv-{version}-{number}",
                partial(in_environment, version, folder, command),
            )
            for version in ("1.8.5", "2.5.1")
        }
        assert installed["1.8.5"] == installed["2.5.1"]
        for version in OLDER:
            write_older(path, lock, version)
            assert in_manifest(folder, *arguments) == installed["2.5.1"], (version, options)
        path.write_text(text)
        assert in_manifest(folder, *arguments) == installed["2.5.1"]


# --- The image ------------------------------------------------------------------------------------
COSTLY = {"venv", "poetry", "dependencies", "source", "check", "build-backend"}
"""The stages that install packages or check installed ones."""


def read_lock(project: Project) -> dict[str, Any]:
    """Read the lock."""
    found: dict[str, Any] = tomllib.loads(project.read("poetry.lock"))
    return found


@pytest.mark.engine
def test_image_with_an_older_lock(
    engine: DockerEngine,
    poetry_home: Callable[[DockerEngine], Poetry],
    index: AcmeIndex,
    tmp_path: Path,
) -> None:
    """It has the packages of `poetry install`, and keeps its layers after `poetry lock`."""
    pyproject = SHOP.replace('"acme-native"]', '"acme-native", "acme-old"]')
    project = make_shop(tmp_path / "shop", poetry_home(engine), index, pyproject=pyproject)
    path = project.folder / "poetry.lock"
    write_older(path, read_lock(project), "2.0")
    steps = build(project, "--no-cache")
    assert "poetry.lock has the format 2.0, which does not record the groups" in steps.said
    assert steps.ran >= COSTLY
    expected = distributions(
        tmp_path / "venv",
        lambda venv: project.poetry.run(
            project.folder, "install", "--only=main", env={"VIRTUAL_ENV": venv}
        ),
    )
    assert inspect_image(engine, "acme-shop:1.2.3")["distributions"] == expected
    assert engine.run("acme-shop:1.2.3") == "shop 1.1 1.0\n"
    assert [name for name, _ in expected] == [
        *("acme-lib", "acme-native", "acme-old", "acme-shop", "acme-util")
    ]

    def rebuilt(version: str | None) -> None:
        if version is not None:
            write_older(path, read_lock(project), version)
        done = build(project)
        assert not done.ran & COSTLY, version
        assert done.installed == ()
        assert ("has the format" in done.said) == (version is not None)

    rebuilt("1.1")
    project.replace("pyproject.toml", '"acme-lint"', '"acme-lint", "acme-docs"')
    project.lock()
    assert read_lock(project)["metadata"]["lock-version"] == "2.1"
    rebuilt("2.0")
    project.lock()  # what the note proposes
    rebuilt(None)
    edit_harmlessly(
        project,
        sources=["src/acme_shop/__init__.py"],
        wider=("acme-lib (>=1.0,<2)", "acme-lib (>=0.5,<3)"),
    )
    rebuilt("1.0")
