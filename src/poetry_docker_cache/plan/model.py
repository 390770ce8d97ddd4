"""The image as data: every decision that the Dockerfile shows, made before it is written.

Pure: it imports no Poetry, reads no file and holds no credential.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from poetry_docker_cache.settings.image_values import Healthcheck


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
    from_source: bool
    """Whether Poetry installs it on the build image, where a compiler is; otherwise pip does."""
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
    """Poetry's version; None if no layer needs it."""
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
