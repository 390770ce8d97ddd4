"""The plan of an image: all decisions that the Dockerfile shows, as plain data.

Pure: it imports no Poetry, reads no file and holds no credential.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from poetry_docker_cache.settings.image_values import Healthcheck

Notes = tuple[str, ...]
"""Sentences that explain a decision to the user."""


class Important(str):
    """A note that the summary of a build repeats at its end."""

    __slots__ = ()


class MissingStart(Important):
    """The note that an image has no start command."""

    __slots__ = ()


BASE = "base"
"""The stage with the base of the final image and its system packages."""
REFRESHED = (BASE, "check")
"""The stages that new system packages concern. The check is not always based on the first."""
FRONTEND = (1, 4)
"""The first frontend with heredocs and `COPY --link`, which the Dockerfile uses."""
_START_INTERVAL_FRONTEND = (1, 6)
_NO_COMMAND = "No start command: add `command` to [tool.poetry-docker-cache] in pyproject.toml"
NO_COMMAND = ("python", "-c", f"import sys; sys.exit('{_NO_COMMAND}')")
"""The command without a known start command: it says so and exits with status 1."""
APPLICATION = "application"
"""The name of the project's own wheel."""


@dataclass(frozen=True, kw_only=True)
class Index:
    """The package source that replaces PyPI, also for Poetry and build backends."""

    name: str
    url: str


@dataclass(frozen=True, kw_only=True)
class Direct:
    """What the layer of git, URL and file dependencies needs besides its manifest."""

    files: tuple[str, ...]
    """Wheels and sdists: POSIX paths relative to the project, some of them outside it."""
    ssh: tuple[str, ...]
    """The names of the packages whose repositories are cloned over ssh."""
    known_hosts: tuple[str, ...]
    """Lines for OpenSSH's known_hosts; empty without ssh."""


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A part of the dependencies: installed by one stage, copied to the final image as a layer."""

    name: str
    """The name of the stage and of its manifest."""
    from_source: bool
    """Whether it is installed on the build image, which has a compiler."""
    may_have_libraries: bool
    """Whether a package in it may need shared libraries of the system."""
    packages: tuple[str, ...] = ()
    """The names of its packages in the lock file."""
    keeps_wheels: bool = False
    """Whether it installs from wheels in `download-cache`, and adds the wheels it downloads."""
    direct: Direct | None = None
    """Set if the packages do not come from a package index."""
    prefix: str = ""
    """Begins the names of its stages, for a layer of a variant."""

    @property
    def is_built(self) -> bool:
        """Whether its packages come from an index and are built, without the secret."""
        return self.from_source and self.direct is None


@dataclass(frozen=True, kw_only=True)
class Dependencies:
    """The stages that install the locked packages into /venv."""

    layers: tuple[Layer, ...]
    compile: bool
    """Whether to byte-compile them, the project and the standard library."""
    libc: str | None
    """The C library of the final image, which decides the wheels that fit; None if unknown."""
    machines: tuple[str, ...]
    """The machines of the project's platforms, as wheel file names spell them."""
    index: Index | None
    groups: tuple[str, ...]
    extras: tuple[str, ...]
    no_binary: tuple[str, ...]
    only_binary: tuple[str, ...]
    poetry: str | None
    """Poetry's version; None if no layer needs it."""
    poetry_pins: tuple[str, ...] = ()
    """The names of its requirements files with hashes; empty if pip resolves its dependencies."""
    environment: Mapping[str, str]
    """Poetry's own settings that change what is installed, as environment variables."""
    build_config_settings: str | None
    """JSON, as Poetry stores them: package name to settings."""
    build_image: str
    """The image on which packages without a wheel are built."""
    packages: tuple[str, ...]
    """System packages to build them with."""
    instructions: tuple[str, ...]
    images: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)
    """The `groups` and `extras` of each of several images; empty if all install the same."""
    reuses_image: bool = False
    """Whether unchanged packages are copied from an earlier image, if it exists."""
    build_network: bool = False
    """Whether packages without a wheel are built with access to the network."""
    older_lock: bool = False
    """Whether the lock file's format is older than 2.1, which needs more scripts."""
    further: tuple[Layer, ...] = ()
    """The layers of variants, which are not in the final image."""

    @property
    def all_layers(self) -> tuple[Layer, ...]:
        """The layers of the final image and its variants."""
        return (*self.layers, *self.further)

    @property
    def keeps_wheels(self) -> bool:
        """Whether any layer installs from wheels in `download-cache`."""
        return any(layer.keeps_wheels for layer in self.all_layers)

    @property
    def files(self) -> tuple[str, ...]:
        """The paths of dependencies that are files."""
        direct = (layer.direct for layer in self.all_layers if layer.direct)
        return tuple(dict.fromkeys(path for each in direct for path in each.files))

    @property
    def ssh(self) -> tuple[str, ...]:
        """The names of the packages for which the build needs an SSH agent."""
        direct = (layer.direct for layer in self.all_layers if layer.direct)
        return tuple(dict.fromkeys(name for each in direct for name in each.ssh))


@dataclass(frozen=True, kw_only=True)
class Traits:
    """What is known about a base image."""

    apk: bool
    """Whether its package manager is apk, not apt."""
    may_have_user: bool
    """Whether it may run as a user other than root, who could not install packages."""
    may_lack_platforms: bool
    """Whether it may be missing for the platform of the build machine."""


@dataclass(frozen=True, kw_only=True)
class Wheel:
    """A wheel of the project or of a path dependency, and the stages that build and install it."""

    name: str
    """The name of the stage with the sources."""
    backend_name: str
    """The name of the stage with the build backend, which several wheels may share."""
    folder: str
    """The path of its sources in the build context."""
    image: str
    requires: tuple[str, ...]
    pins: tuple[str, ...]
    """The names of requirements files with hashes for them; empty if pip resolves them."""
    backend: str
    backend_path: tuple[str, ...]
    version_variables: tuple[str, ...]
    """Environment variables that set the version, for a backend that reads it from git."""
    version: str | None
    """Their value; None for the build argument VERSION."""
    offline: bool
    """Whether the backend is known to download nothing."""
    compiles: bool
    """Whether it has code to compile, which may need shared libraries of the system."""
    packages: tuple[str, ...]
    """System packages to build it with."""
    paths: tuple[str, ...]
    """The files and folders it is built from, without pyproject.toml, relative to its folder."""
    has_pyproject: bool
    config_settings: str | None
    """JSON: Poetry's `build-config-settings` for the backend."""
    constraints: tuple[str, ...]
    """Constraints on its build requirements, as pip takes them."""
    marker: str
    """The marker that decides in the build whether it is installed; empty if it always is."""
    index: Index | None
    git_ignored: tuple[str, ...]
    """Lines for the ignore file: git-ignored files within the paths."""
    whole: bool = False
    """Whether it is built from the whole folder, except for ignored files."""
    lists_files_by_git: bool = False
    """Whether its backend asks git for the data files in the wheel."""

    @property
    def is_application(self) -> bool:
        """Whether this is the project's own wheel."""
        return self.name == APPLICATION

    @property
    def copied(self) -> tuple[str, ...]:
        """The paths to copy besides pyproject.toml."""
        return (".",) if self.whole else self.paths

    @property
    def takes_from_above(self) -> bool:
        """Whether any path is outside the folder."""
        return any(path.startswith("../") for path in self.paths)

    def located(self, path: str) -> str:
        """The path in the build context."""
        return posixpath.normpath(posixpath.join(self.folder, path))


@dataclass(frozen=True, kw_only=True)
class Files:
    """The files that are copied to the working directory."""

    paths: tuple[str, ...]
    """The paths; empty for all files that the ignore file does not exclude."""
    left_out: tuple[str, ...] = ()
    """Paths that only development needs, in the whole source tree."""
    removed: tuple[str, ...] = ()
    """Paths that only the image for tests takes from the build context."""


@dataclass(frozen=True, kw_only=True)
class RunStep:
    """A command that runs on the content of the image, in a stage whose output is a layer."""

    name: str
    """The name of the stage, and of the folder in it with the output."""
    command: tuple[str, ...]
    output: tuple[str, ...]
    """Absolute paths; one that ends with `/` is a folder."""
    environment: Mapping[str, str]
    packages: tuple[str, ...]
    network: bool
    secrets: tuple[str, ...]
    """The ids of secrets, which are also the names of their variables."""
    paths: tuple[str, ...] | None
    """The paths of the project that the stage has; None for the application as in the image."""

    @property
    def is_narrowed(self) -> bool:
        """Whether it has only the locked packages and some paths of the project."""
        return self.paths is not None

    @property
    def title(self) -> str:
        """The name in messages, as inside/run_step.py has it: `run 1`, `run 1 of api.worker`."""
        return self.name.replace("-", " ", 1).replace(".", " of ", 1)


@dataclass(frozen=True, kw_only=True)
class Folder:
    """A folder that the image's user owns."""

    path: str
    """Absolute."""
    mode: str | None = None
    """Four octal digits; None keeps the mode in the base image, and is 0755 for a new folder."""


@dataclass(frozen=True, kw_only=True)
class Copy:
    """What is copied under another name or to another place."""

    source: str
    """A path in the build context, or an absolute one in `image`."""
    to: str
    """Absolute; with `/` at its end for a folder to copy into."""
    image: str | None
    owner: str
    mode: str | None
    in_workdir: bool
    """Whether it is copied into the working directory."""

    @property
    def is_made_readable(self) -> bool:
        """Whether it comes from the project and has no mode, so its files get a readable one."""
        return self.image is None and self.mode is None

    @property
    def options(self) -> tuple[str, ...]:
        """The options of COPY for mode and owner."""
        owner = () if self.owner == "root" else (f"--chown={self.owner}",)
        return (*owner, *([f"--chmod={self.mode}"] if self.mode else ()))


@dataclass(frozen=True, kw_only=True)
class Argument:
    """A build argument, and where its value is in the image."""

    name: str
    default: str
    env: str | None
    label: str | None
    file: str | None
    """Absolute."""


@dataclass(frozen=True, kw_only=True)
class AssetStage:
    """The stage that builds a front end. Its paths are relative to the project."""

    name: str
    image: str
    may_have_user: bool
    """Whether the image may run as a user other than root."""
    folder: str
    manifests: tuple[str, ...]
    """What is copied before the install; a folder ends with a slash."""
    sources: tuple[str, ...]
    """What is copied after it."""
    environment: Mapping[str, str]
    tool: str
    """The package manager, for the names of its cache and of messages."""
    caches: Mapping[str, str]
    """The folders of caches, by name."""
    fetch: tuple[tuple[str, ...], ...]
    """The commands that download packages, and run no code of them."""
    scripts: tuple[str, ...]
    """The command that runs install scripts; empty if there are none."""
    build: tuple[tuple[str, ...], ...]
    variables: tuple[str, ...]
    """Environment variables that the download gets as secrets."""
    network: bool
    output: str
    wheel: str
    """The name of the wheel that gets the output; empty if none does."""
    wheel_place: str
    """The place of the output in the folder of that wheel."""
    image_place: str
    """The absolute place of the output in the final image; empty if only a wheel gets it."""
    git_ignored: tuple[str, ...]
    """Lines for the ignore file."""
    generated: tuple[str, ...]
    """Paths that the build writes and git ignores: the project's own are not needed."""


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """The final image."""

    image: str
    has_shell: bool
    """Whether it has a shell; without one, only Python can run."""
    python: str
    checked_on_build_platform: bool
    """Whether the check only reads the image's files: its own programs may need emulation."""
    packages: tuple[str, ...]
    optional_libraries: tuple[str, ...]
    """Shared libraries that may be missing although a module needs them."""
    instructions: tuple[str, ...]
    environment: Mapping[str, str]
    labels: Mapping[str, str]
    workdir: str
    user: str
    """A name, or `uid:gid`."""
    home: str
    folders: tuple[Folder, ...] = ()
    """The folders that the user owns besides the home."""
    volumes: tuple[str, ...] = ()
    copies: tuple[Copy, ...] = ()
    arguments: tuple[Argument, ...] = ()
    ports: tuple[str, ...]
    healthcheck: Healthcheck | Literal[False] | None
    """False disables that of the base image, None keeps it."""
    stop_signal: str | None
    init: bool = False
    """Whether a system package is installed for an init process, which the entrypoint starts."""
    entrypoint: tuple[str, ...] | None
    command: tuple[str, ...] | None
    start_reason: str | None = None
    """The file or script that the default start command is from; None if the settings have it."""

    @property
    def starts(self) -> bool:
        """Whether the image starts anything: if not, it only says so and exits with status 1."""
        return bool(self.entrypoint) or self.command not in (None, (), NO_COMMAND)

    @property
    def start_words(self) -> tuple[str, ...]:
        """The command that a container runs; empty if the image starts nothing."""
        return (*(self.entrypoint or ()), *(self.command or ())) if self.starts else ()

    @property
    def published_ports(self) -> tuple[str, ...]:
        """The arguments for `docker run --publish`: `8000:8000`, `8125:8125/udp`."""
        return tuple(f"{port.partition('/')[0]}:{port}" for port in self.ports)

    @property
    def owned(self) -> tuple[Folder, ...]:
        """All folders that the user owns."""
        return (Folder(path=self.home), *self.folders)

    @property
    def copied_beside(self) -> tuple[Copy, ...]:
        """What is copied into the working directory."""
        return tuple(each for each in self.copies if each.in_workdir)

    @property
    def copied_elsewhere(self) -> tuple[Copy, ...]:
        """What is copied to other places."""
        return tuple(each for each in self.copies if not each.in_workdir)

    @property
    def check_has_shell(self) -> bool:
        """Whether the check runs in a stage with a shell."""
        return self.has_shell or self.checked_on_build_platform


VariantName = Literal["dev", "test"]
DEV: VariantName = "dev"
TEST: VariantName = "test"
RUN_TESTS = "run-tests"
"""The stage in which the tests run."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """An image for development or tests: the final image, and further layers on top of it."""

    name: VariantName
    """The name of its stage."""
    base: Mapping[str, Sequence[str]]
    """The `groups` and `extras` of the final image."""
    groups: tuple[str, ...]
    extras: tuple[str, ...]
    layers: tuple[Layer, ...]
    wheels: tuple[Wheel, ...]
    """The path dependencies that only this image has."""
    build_packages: tuple[str, ...]
    """System packages to build its packages with, besides those of the final image."""
    runtime_packages: tuple[str, ...]
    """System packages that only this image has."""
    paths: tuple[str, ...]
    """The files of the project to copy to the working directory."""
    owns_files: bool
    """Whether the user also owns the files that the final image has there."""
    environment: Mapping[str, str]
    entrypoint: tuple[str, ...] | None
    """None for that of the final image."""
    command: tuple[str, ...] | None
    """None for that of the final image."""
    reloads: bool = False
    """Whether the command itself watches the source and starts again."""
    network: bool = False
    """Whether tests have access to the network."""

    @property
    def purpose(self) -> str:
        """Its use, in words."""
        return "development" if self.name == DEV else "tests"

    @property
    def prefix(self) -> str:
        """The start of the names of its stages."""
        return f"{self.name}-"

    @property
    def builder(self) -> str:
        """The stage in which its packages are built."""
        return f"{self.prefix}builder" if self.build_packages else "builder"


@dataclass(frozen=True, kw_only=True)
class Template:
    """The project's own template, which extends the built-in one."""

    path: str
    """The path in the setting: POSIX, relative to the project."""
    texts: Mapping[str, str]
    """The texts of the template and of the files it includes, by path."""


@dataclass(frozen=True, kw_only=True)
class ImagePlan:
    """The plan of one image; `notes` explain it to the user."""

    syntax: str | None
    project: str
    """A name for the project's caches in the builder."""
    folder: str
    """The path of the project in the build context; "." if both are the same folder."""
    dependencies: Dependencies
    wheels: tuple[Wheel, ...]
    """The wheels that are built from source, in the order of their layers."""
    version: str | None
    """The default of the build argument VERSION; None unless the version comes from git."""
    files: Files | None
    runtime: Runtime
    steps: tuple[RunStep, ...]
    """The commands that run on the content of the image, in their order."""
    assets: tuple[AssetStage, ...]
    """The front ends."""
    stage_image: str
    """The base of stages that compile nothing."""
    traits: Mapping[str, Traits]
    """What is known about each base image."""
    ignore: tuple[str, ...]
    """Lines that the settings add to the ignore file."""
    dockerignore: str | None
    """The text of the project's own `.dockerignore`."""
    notes: tuple[str, ...]
    template: Template | None = None
    variants: tuple[Variant, ...] = ()
    """The images for development and tests whose stages the Dockerfile has as well."""
    tests: tuple[str, ...] = ()
    """The command that the last stage runs, in the image for tests; empty without such a stage."""
    ends_with_image: bool = False
    """Whether the last stage is the final image, not the last of the variants."""

    def assets_of(self, wheel: Wheel) -> tuple[AssetStage, ...]:
        """The front ends whose output is part of a wheel."""
        return tuple(stage for stage in self.assets if stage.wheel == wheel.name)

    @property
    def assets_beside(self) -> tuple[AssetStage, ...]:
        """The front ends whose output is a layer of the final image."""
        return tuple(stage for stage in self.assets if stage.image_place)

    @property
    def packages(self) -> tuple[Wheel, ...]:
        """The wheels of path dependencies."""
        return tuple(wheel for wheel in self.all_wheels if not wheel.is_application)

    @property
    def all_wheels(self) -> tuple[Wheel, ...]:
        """The wheels of the final image and its variants, each once."""
        further = {wheel.name: wheel for variant in self.variants for wheel in variant.wheels}
        return (*further.values(), *self.wheels)

    @property
    def version_variables(self) -> tuple[str, ...]:
        """Environment variables that set the project's version, if it comes from git."""
        return self.application.version_variables if self.application else ()

    @property
    def application(self) -> Wheel | None:
        """The project's own wheel."""
        return next((wheel for wheel in self.wheels if wheel.is_application), None)

    @property
    def backends(self) -> tuple[Wheel, ...]:
        """The first wheel of each stage with a build backend."""
        return tuple({wheel.backend_name: wheel for wheel in reversed(self.all_wheels)}.values())

    @property
    def needed_frontend(self) -> tuple[int, ...]:
        """The version of the first frontend that reads the Dockerfile."""
        check = self.runtime.healthcheck
        return _START_INTERVAL_FRONTEND if check and check.start_interval else FRONTEND

    @property
    def changes_base(self) -> bool:
        """Whether the stage `base` may install anything from the network."""
        return bool(self.runtime.packages or self.runtime.instructions or self.template)

    @property
    def secrets(self) -> tuple[str, ...]:
        """The ids of the secrets of all steps."""
        return tuple(dict.fromkeys(name for step in self.steps for name in step.secrets))

    @property
    def secret_variables(self) -> tuple[str, ...]:
        """The environment variables that are secrets of the front ends and of all steps."""
        of_front_ends = (name for stage in self.assets for name in stage.variables)
        return tuple(dict.fromkeys((*of_front_ends, *self.secrets)))

    @property
    def notes_for_tests(self) -> Notes:
        """The important notes, without those about the start command, which tests do not use."""
        important = (note for note in self.notes if isinstance(note, Important))
        return tuple(note for note in important if not isinstance(note, MissingStart))

    def located(self, path: str) -> str:
        """The path in the build context of a path in the project."""
        return posixpath.normpath(posixpath.join(self.folder, path))
