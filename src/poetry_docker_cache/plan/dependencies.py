"""The dependencies as data: the stages that install them, each a layer of the image."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from poetry_docker_cache.settings import Installer


@dataclass(frozen=True, kw_only=True)
class Index:
    """The package source that stands in for PyPI: where Poetry and build backends come from."""

    name: str
    url: str


@dataclass(frozen=True, kw_only=True)
class Direct:
    """What the layer of git, URL and file dependencies needs of a build beside its manifest."""

    files: tuple[str, ...]
    """Wheels and source distributions: POSIX, from the project; some may lie beside it."""
    ssh: bool
    """Whether a repository is reached over ssh."""
    known_hosts: tuple[str, ...]
    """Lines of OpenSSH's known_hosts; empty without ssh."""


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A part of the dependencies: a stage that installs it, and a layer of the final image."""

    name: str
    """Of the stage, and of its manifest."""
    installer: Installer
    from_source: bool
    """Whether it is made on the build image, where a compiler is."""
    may_have_libraries: bool
    """Whether a package in it may need shared libraries of the system."""
    packages: tuple[str, ...] = ()
    """What it holds by the lock that it was planned from."""
    keeps_wheels: bool = False
    """Whether it installs from wheels that the machine keeps, and leaves there what it fetches."""
    direct: Direct | None = None
    """Given where the packages come from no index."""


@dataclass(frozen=True, kw_only=True)
class Dependencies:
    """The stages that put the locked packages into /venv."""

    layers: tuple[Layer, ...]
    compile: bool
    """Also the project and the standard library."""
    libc: str | None
    """Of the final image, as far as it is known: what decides which packages have no wheel."""
    machines: tuple[str, ...]
    """Those that the project names, as wheels do; with the libc they decide that."""
    index: Index | None
    groups: tuple[str, ...]
    extras: tuple[str, ...]
    no_binary: tuple[str, ...]
    only_binary: tuple[str, ...]
    poetry: str | None
    """The versions of the installers that the stages bring along; None where no layer needs it."""
    uv: str | None
    environment: Mapping[str, str]
    """Poetry's own settings that change what is installed, as its environment variables."""
    build_config_settings: str | None
    """JSON, as Poetry keeps them: package name to settings."""
    build_image: str
    """Where what has no wheel is built."""
    packages: tuple[str, ...]
    """Packages of the system to build it with."""
    instructions: tuple[str, ...]
    images: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)
    """The `groups` and `extras` of each of several images; empty where all hold the same."""
    reuses_image: bool = False
    """Whether unchanged packages come from an earlier image, where there is one."""
    older_lock: bool = False
    """Whether the lock is of a format before 2.1, which takes more scripts to read."""
    on_build_image: bool = False
    """Whether all layers are installed on another image than the final one starts from."""

    @property
    def keeps_wheels(self) -> bool:
        """Whether any layer does."""
        return any(layer.keeps_wheels for layer in self.layers)

    @property
    def files(self) -> tuple[str, ...]:
        """The files among the dependencies."""
        return tuple(path for layer in self.layers if layer.direct for path in layer.direct.files)

    @property
    def ssh(self) -> bool:
        """Whether a build needs an SSH agent."""
        return any(layer.direct is not None and layer.direct.ssh for layer in self.layers)
