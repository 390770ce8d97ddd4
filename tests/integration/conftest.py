"""Fixtures: real engines, an index with a password, and the plugin in a separate Poetry."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import clean_poetry as clean
import pytest
from acme import AcmeIndex, Project
from command_line import Client
from engines import DockerEngine, docker_engine, unavailable
from reference import PoetryInstall

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def engine() -> Iterator[DockerEngine]:
    """Provide an engine with the base images 3.13-slim and 3.13; it may have layers of other tests.

    Use `engine.env` as the environment of processes that run docker, or `engine.docker(...)`.
    """
    with docker_engine("test") as found:
        yield found


@pytest.fixture(scope="session")
def second_engine(engine: DockerEngine) -> Iterator[DockerEngine]:
    """Provide a second, empty engine: a fresh CI machine that shares the registry."""
    if engine.registry is None:
        unavailable("the engine has no registry that another one could share")
    with docker_engine("test-ci", own=True) as found:
        yield found


@pytest.fixture(scope="session")
def registry(engine: DockerEngine) -> str:
    """Return host and port of a registry that accepts pushes."""
    if engine.registry is None:
        unavailable("the engine has no registry")
    return engine.registry


@pytest.fixture(scope="session")
def plugin_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel of this repository."""
    return clean.build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def clean_poetry(plugin_wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel and Poetry in an environment; return its `poetry`."""
    return clean.install(tmp_path_factory.mktemp("poetry") / "venv", plugin_wheel)


@pytest.fixture(scope="session")
def poetry_home(
    clean_poetry: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[DockerEngine], clean.Poetry]:
    """Return a function that creates an unconfigured Poetry for an engine."""

    def make(engine: DockerEngine) -> clean.Poetry:
        return clean.Poetry.isolated(clean_poetry, tmp_path_factory.mktemp("home"), engine.env)

    return make


@pytest.fixture
def example(
    engine: DockerEngine, poetry_home: Callable[[DockerEngine], clean.Poetry], tmp_path: Path
) -> Callable[[str], Project]:
    """Return a function that copies an example; its project is in a folder of it, or the top."""
    ignored = shutil.ignore_patterns("__pycache__", ".*", "node_modules", "dist")

    def copy(name: str, folder: str = ".") -> Project:
        shutil.copytree(clean.ROOT / "examples" / name, tmp_path / name, ignore=ignored)
        return Project(tmp_path / name / folder, poetry_home(engine))

    return copy


@pytest.fixture(scope="session")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AcmeIndex]:
    """Serve the packages of acme.py, and Poetry and poetry-core, to one user only."""
    with AcmeIndex(tmp_path_factory.mktemp("packages")) as served:
        yield served


@pytest.fixture(scope="session")
def poetry_install(engine: DockerEngine) -> PoetryInstall:
    """Return a function that lists what `poetry install` puts into a fresh environment."""
    return PoetryInstall.prepare(engine)


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Client:
    """Provide a fake docker, first on the PATH."""
    found = Client.create(tmp_path / "bin")
    monkeypatch.setenv("PATH", str(found.folder), prepend=os.pathsep)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    # No index has the packages of these projects.
    monkeypatch.setattr("poetry_docker_cache.commands.licence_requests._MOST_AT_ONCE", 0)
    return found
