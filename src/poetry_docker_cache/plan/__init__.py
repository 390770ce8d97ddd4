"""The image as data: every decision that the Dockerfile shows, made before it is written.

Pure: it imports no Poetry, reads no file and holds no credential.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from poetry_docker_cache.plan.dependencies import Dependencies, Direct, Index, Layer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from poetry_docker_cache.settings import Healthcheck

__all__ = [
    "Dependencies",
    "Direct",
    "Files",
    "ImagePlan",
    "Index",
    "Layer",
    "Runtime",
    "Template",
    "Traits",
    "Wheel",
]


@dataclass(frozen=True, kw_only=True)
class Traits:
    """What is known of an image that stages start from."""

    apk: bool
    """Whether its packages are apk's, and not apt's."""
    may_have_user: bool
    """Whether it may run as another user than root, who alone can install."""


@dataclass(frozen=True, kw_only=True)
class Wheel:
    """The stages that build a wheel, of the project itself or a path dependency, and install it."""

    name: str
    """Of the stage that has the sources."""
    backend_name: str
    """Of the stage that has the build backend; several wheels may stand on one."""
    folder: str
    """Of its sources, in the build context."""
    image: str
    requires: tuple[str, ...]
    backend: str
    backend_path: tuple[str, ...]
    version_variables: tuple[str, ...]
    """Environment variables by which the backend is told the version, instead of asking git."""
    version: str | None
    """What they say; None is what the build argument VERSION says."""
    offline: bool
    """Whether the backend is known to fetch nothing while it builds."""
    compiles: bool
    """Whether it has code to compile, which may need shared libraries of the system."""
    packages: tuple[str, ...]
    """Packages of the system that building it needs."""
    paths: tuple[str, ...]
    """What the wheel is made of, beside pyproject.toml: POSIX, relative to the folder."""
    has_pyproject: bool
    config_settings: str | None
    """JSON: what Poetry's settings say to the backend."""
    constraints: tuple[str, ...]
    """On what it is built with, as pip takes them."""
    marker: str
    """Decides on the machine whether it is installed; empty, if it always is."""
    index: Index | None
    git_ignored: tuple[str, ...]
    """Lines for the ignore file on what git ignores within the paths."""
    whole: bool = False
    """Whether it is built from all that the ignore file lets through of the folder."""
    lists_files_by_git: bool = False
    """Whether its backend asks git which files beside the code are part of it."""

    @property
    def copied(self) -> tuple[str, ...]:
        """What is copied beside pyproject.toml."""
        return (".",) if self.whole else self.paths

    @property
    def takes_from_above(self) -> bool:
        """Whether any of the paths leads out of the folder."""
        return any(path.startswith("../") for path in self.paths)

    def located(self, path: str) -> str:
        """A path as the build context has it."""
        return posixpath.normpath(posixpath.join(self.folder, path))


@dataclass(frozen=True, kw_only=True)
class Files:
    """What is copied to the working directory."""

    paths: tuple[str, ...]
    """Empty: everything that the ignore file lets through."""


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """The final image."""

    image: str
    has_shell: bool
    """Whether commands can run on it; without, only its Python can."""
    python: str
    packages: tuple[str, ...]
    optional_libraries: tuple[str, ...]
    """Shared libraries that may be missing, although something asks for them."""
    instructions: tuple[str, ...]
    environment: Mapping[str, str]
    labels: Mapping[str, str]
    workdir: str
    user: str
    home: str
    ports: tuple[str, ...]
    healthcheck: Healthcheck | Literal[False] | None
    """False turns off the base's own, None leaves it."""
    stop_signal: str | None
    entrypoint: tuple[str, ...] | None
    command: tuple[str, ...] | None


@dataclass(frozen=True, kw_only=True)
class Template:
    """The project's own template, which extends ours."""

    path: str
    """As the setting says it: POSIX, relative to the project."""
    texts: Mapping[str, str]
    """Its text and those of the files that it names, by path."""


@dataclass(frozen=True, kw_only=True)
class ImagePlan:
    """One image, wholly decided; `notes` tell a person why."""

    syntax: str | None
    folder: str
    """Of the project, in the build context: "." where that is the project's own folder."""
    dependencies: Dependencies
    packages: tuple[Wheel, ...]
    """The path dependencies."""
    application: Wheel | None
    version: str | None
    """The default of the build argument VERSION, where the version comes from git."""
    files: Files | None
    runtime: Runtime
    stage_image: str
    """What the stages start from where nothing is compiled: the final image's own, if it can."""
    traits: Mapping[str, Traits]
    """Those of all images that stages start from."""
    ignore: tuple[str, ...]
    """Lines that the project adds to the ignore file."""
    dockerignore: str | None
    """The project's own `.dockerignore`."""
    notes: tuple[str, ...]
    template: Template | None = None

    @property
    def wheels(self) -> tuple[Wheel, ...]:
        """What is built from sources of the context, in the order of the layers."""
        return (*self.packages, *([self.application] if self.application else ()))

    @property
    def backends(self) -> tuple[Wheel, ...]:
        """The stages with build backends, each as the first wheel that stands on it."""
        return tuple({wheel.backend_name: wheel for wheel in reversed(self.wheels)}.values())

    def located(self, path: str) -> str:
        """A path of the project as the build context has it."""
        return posixpath.normpath(posixpath.join(self.folder, path))
