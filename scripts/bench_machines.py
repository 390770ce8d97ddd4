"""The machines that variants are built on: a container engine, or only a user's cache folder."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Protocol

from bench_docker import EngineCpu, docker

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from engine import Engine


class Machine(Protocol):
    """What keeps something from one build to the next."""

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables of a build here."""

    @property
    def folder(self) -> Path:
        """A folder on the disk that is used."""

    def empty(self, *, keep_base: bool) -> None:
        """Remove everything, except the base images if they are to be kept."""

    def cpu_seconds(self) -> float:
        """Return the CPU seconds so far, besides those of the commands."""


class EngineMachine:
    """A machine with a container engine."""

    def __init__(
        self, engine: Engine, environment: Mapping[str, str], bases: Collection[str]
    ) -> None:
        self.engine = engine
        self.environment = {**environment, **engine.env}
        self.folder = engine.state
        self._bases = bases
        self._cpu = EngineCpu(engine)

    def empty(self, *, keep_base: bool) -> None:
        """Remove images and build caches."""
        names = docker(self.engine, "image", "ls", "--format={{.Repository}}:{{.Tag}}").split()
        unwanted = [name for name in names if not (keep_base and name in self._bases)]
        if unwanted:
            docker(self.engine, "image", "rm", "--force", *unwanted)
        docker(self.engine, "buildx", "prune", "--all", "--force")

    def cpu_seconds(self) -> float:
        """Return the CPU seconds of the engine and of its containers."""
        return self._cpu.seconds()


class CacheFolder:
    """A machine without a container engine, where Poetry and the plugin keep files."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        own = {"XDG_CACHE_HOME": folder, "POETRY_CACHE_DIR": folder / "pypoetry"}
        own["DOCKER_CONFIG"] = folder / "docker"
        self.environment = {**environment, **{name: str(path) for name, path in own.items()}}
        folder.mkdir(parents=True)

    def empty(self, *, keep_base: bool) -> None:  # noqa: ARG002  # no base image is kept here
        """Remove all files."""
        shutil.rmtree(self.folder)
        self.folder.mkdir()

    def cpu_seconds(self) -> float:
        """Return 0, because nothing runs besides the commands."""
        return 0.0
