"""The project as plain data: all that the plan of an image takes from it.

Imports no Poetry and holds no credential. `project.reader` makes these objects.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from packaging.version import Version

if TYPE_CHECKING:
    from collections.abc import Mapping

PRIMARY = "primary"
"""The priority of a source that names none."""

_LARGER_THAN_ANY_PATCH = 999


@dataclass(frozen=True, kw_only=True)
class VersionRange:
    """The versions between two bounds; a bound that is None is open."""

    lower: Version | None = None
    upper: Version | None = None
    includes_lower: bool = False
    includes_upper: bool = False

    def __contains__(self, version: Version) -> bool:
        """Whether the version lies between the bounds."""
        above = self.lower is None or (
            version >= self.lower if self.includes_lower else version > self.lower
        )
        below = self.upper is None or (
            version <= self.upper if self.includes_upper else version < self.upper
        )
        return above and below

    def within(self, first: Version, after: Version) -> VersionRange | None:
        """The part from `first` up to, but without, `after`; None if it is empty."""
        lower, includes_lower = first, True
        if self.lower is not None and self.lower >= first:
            lower, includes_lower = self.lower, self.includes_lower
        upper, includes_upper = after, False
        if self.upper is not None and self.upper < after:
            upper, includes_upper = self.upper, self.includes_upper
        if lower > upper or (lower == upper and not (includes_lower and includes_upper)):
            return None
        return VersionRange(
            lower=lower,
            upper=upper,
            includes_lower=includes_lower,
            includes_upper=includes_upper,
        )


@dataclass(frozen=True, kw_only=True)
class PythonConstraint:
    """The Python versions that the project allows."""

    text: str
    """As pyproject.toml has it."""
    ranges: tuple[VersionRange, ...]

    def allows(self, tag: str) -> bool:
        """Whether "3.12.4" is allowed, or any patch version of "3.12"."""
        if tag.count(".") == 1:
            return bool(self._of_minor(tag))
        return any(Version(tag) in versions for versions in self.ranges)

    def image_tag(self, minor: str) -> str | None:
        """The image tag for a minor version; None if the project does not allow it.

        The tag is the minor version itself, unless the constraint has an upper bound within it.
        """
        allowed = self._of_minor(minor)
        # The tag "3.12" is the newest patch version, whatever its number is by now.
        newest = Version(f"{minor}.{_LARGER_THAN_ANY_PATCH}")
        if any(newest in versions for versions in allowed):
            return minor
        if len(allowed) != 1:
            return None
        (versions,) = allowed
        if versions.lower == versions.upper:
            return str(versions.upper)
        patch = 0 if versions.upper is None else versions.upper.micro
        patch -= 0 if versions.includes_upper else 1
        tag = f"{minor}.{patch}"
        return tag if patch >= 0 and Version(tag) in versions else None

    def _of_minor(self, minor: str) -> list[VersionRange]:
        major, number = map(int, minor.split("."))
        # The pre-releases of the next minor version are not part of this one.
        first, after = Version(minor), Version(f"{major}.{number + 1}.dev0")
        return [part for versions in self.ranges if (part := versions.within(first, after))]


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """The metadata that OCI labels are made from; missing values are None or empty."""

    name: str | None
    version: str | None
    description: str
    licenses: str
    authors: tuple[str, ...]
    homepage: str | None
    repository: str | None


@dataclass(frozen=True, kw_only=True)
class InstallerConfig:
    """Poetry's own settings that change what is installed."""

    no_binary: tuple[str, ...]
    only_binary: tuple[str, ...]
    build_config_settings: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Source:
    """A package source of pyproject.toml; an explicit PyPI has no URL."""

    name: str
    url: str
    priority: str

    @property
    def is_pypi(self) -> bool:
        """Whether this only changes the priority of Poetry's built-in source."""
        return self.name.lower() == "pypi"


class Address(NamedTuple):
    """A URL outside the package sources from which a build downloads a dependency."""

    url: str
    is_git: bool


@dataclass(frozen=True, kw_only=True)
class Lock:
    """A lock file that is up to date with its pyproject.toml."""

    data: Mapping[str, Any]
    generator: Version | None
    """The version of Poetry that wrote it; None if the header does not name one."""

    @property
    def packages(self) -> list[dict[str, Any]]:
        """The `[[package]]` tables, unchanged."""
        packages: list[dict[str, Any]] = self.data.get("package", [])
        return packages

    @property
    def older_format(self) -> str | None:
        """The lock file's format if it is older than 2.1, which added groups to packages."""
        return str(self.data["metadata"]["lock-version"]) if "graph" in self.data else None


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The chosen dependency groups and extras: normalised names, sorted."""

    groups: tuple[str, ...]
    extras: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class WheelRoot:
    """A project, or a path dependency, from which a wheel can be built."""

    paths: tuple[str, ...]
    """Files and folders that the wheel is built from, without pyproject.toml.

    They are sorted, and none lies inside another. A path that begins with `..` is outside the
    project.
    """
    requires: tuple[str, ...]
    backend: str
    """The build backend; Poetry's own if pyproject.toml names none."""
    needs_compiler: bool
    module: str | None
    """The module that `python -m` can run."""
    import_folders: tuple[str, ...] = ()
    """Folders that `poetry install` puts on the import path; "." is the project's folder."""
    packages_above: tuple[tuple[str, str], ...] = ()
    """Import name and path of each package outside the project."""
    backend_path: tuple[str, ...] = ()
    """Folders of an in-tree build backend."""
    git_ignored: tuple[str, ...] = ()
    """Lines for the ignore file: git-ignored files within the paths, which no wheel contains."""
    whole: bool = False
    """Whether the wheel is built from the whole folder, because its files are not known."""
    modules: tuple[str, ...] | None = None
    """The top-level modules in the wheel; None if they are not known."""


@dataclass(frozen=True, kw_only=True)
class SourceTreeRoot:
    """A project, or a path dependency, from which no wheel can be built."""

    reason: str
    import_folder: str | None = None
    """The folder of its packages, which `poetry install` puts on the path; None for the top one."""
    module: str | None = None
    """The module that `python -m` can run."""


@dataclass(frozen=True, kw_only=True)
class PathPackage:
    """A path dependency in the lock file."""

    name: str
    version: str
    """The version at the time of locking."""
    path: str
    """The path of its folder, relative to the project: POSIX."""
    root: WheelRoot | SourceTreeRoot
    has_pyproject: bool = True
    constraints: tuple[str, ...] = ()
    """Constraints on its build requirements, as pip takes them."""


AppKind = Literal[
    "asgi",
    "wsgi",
    "web",
    "aiohttp",
    "sanic",
    "streamlit",
    "gradio",
    "celery",
    "arq",
    "dramatiq",
    "rq",
    "python",
]
"""The protocol, framework or worker; `web` is ASGI or WSGI, as the framework decides."""


UNLIKELY = 9
"""The rank of a program that is only proposed: its code may only define something."""


@dataclass(frozen=True, kw_only=True)
class App:
    """An application found in the source, as servers and workers refer to it."""

    kind: AppKind
    target: str
    """`module:name`, or the path or module that the program of this kind starts."""
    factory: bool = False
    """Whether the target is a function that returns the application."""
    path: str = ""
    """The file that it was found in."""
    rank: int = 0
    """How likely it is the one to start; 0 is the likeliest."""


@dataclass(frozen=True, kw_only=True)
class StatedStart:
    """A start command in the project's own Procfile or Dockerfile, for the image of the plan."""

    file: str
    problem: str | None = None
    """The reason why it cannot be used."""
    evidence: str | None = None
    """The command and the scripts as they are written; None for a development server."""
    words: tuple[str, ...] = ()
    """The command without a shell; empty if it cannot run without one."""
    last: tuple[str, ...] = ()
    """The words of the command that keeps running."""
    shell: str = ""
    """The text for `sh -c`; empty if no shell is needed."""
    programs: tuple[str, ...] = ()
    """The programs of installed packages that it runs; `-m` before a module for Python."""
    paths: tuple[str, ...] = ()
    """The files and folders of the project that it needs beside the wheel."""
    ports: tuple[str, ...] = ()
    """The ports that the file exposes, else the one in the command."""
    changes: tuple[str, ...] = ()
    """Options that were left out."""


@dataclass(frozen=True, kw_only=True)
class StaticFiles:
    """The static files of a Django project, which `collectstatic` collects."""

    manage: str
    """The path of manage.py in the project."""
    folder: str | None
    """`STATIC_ROOT`: relative to the project, or absolute; None if it is not simple to read."""
    secret_key: str | None = None
    """The variable that the settings read the secret key from, without a default."""


@dataclass(frozen=True, kw_only=True)
class FrontEnd:
    """A folder with a package.json. Its paths are relative to the project."""

    folder: str
    lock: str | None
    """The name of the lock file, which decides the package manager."""
    lock_version: str = ""
    """The major version of a lock file's format; empty if unknown."""
    manager: str = ""
    """The field `packageManager` of package.json, without a hash."""
    yarn: str = ""
    """The path in the folder of a Yarn that the project keeps; empty if it has none."""
    is_modern_yarn: bool = False
    """Whether its yarn.lock is that of Yarn 2 or newer."""
    manifests: tuple[str, ...] = ()
    """What an install reads: package.json of the folder and its workspaces, lock, configuration.

    A folder ends with a slash."""
    scripts: frozenset[str] = frozenset()
    """The names of the scripts in package.json."""
    node: tuple[str, str] | None = None
    """The version of Node.js, and the file that has it."""
    variables: tuple[str, ...] = ()
    """The environment variables with credentials that its configuration refers to."""
    hosts: tuple[str, ...] = ()
    """The hosts that its lock file and configuration name."""
    scopes: frozenset[str] = frozenset()
    """The scopes of its packages, such as `@acme`."""
    git_ignored: tuple[str, ...] = ()
    """Lines for the ignore file: git-ignored files in the folder."""
    generated: frozenset[str] = frozenset()
    """The outputs, and their places in the project, that git ignores."""


@dataclass(frozen=True, kw_only=True)
class Project:
    """A Poetry project, as far as its images depend on it."""

    metadata: Metadata
    requires_python: PythonConstraint
    pinned_python: str | None
    """The version in `.python-version`."""
    groups: frozenset[str]
    extras: frozenset[str]
    scripts: tuple[str, ...]
    """The names of the application's commands, without development tools."""
    sources: tuple[Source, ...]
    lock: Lock
    installer: InstallerConfig
    root: WheelRoot | SourceTreeRoot
    files: tuple[str, ...] | None
    """Files that a running application needs beside its package; None is the whole source tree."""
    dockerignore: str | None
    """The text of the project's `.dockerignore`."""
    development_scripts: frozenset[str] = frozenset()
    """The scripts that look like tools for development."""
    stated_starts: tuple[StatedStart, ...] = ()
    """The start commands in its Procfile and Dockerfiles."""
    apps: tuple[App, ...] = ()
    """The applications, workers and programs in its source, the likeliest first."""
    gunicorn: str | None = None
    """The text of its `gunicorn.conf.py`, which gunicorn reads by itself."""
    direct: frozenset[str] = frozenset()
    """The packages that it depends on itself, in any group."""
    imported: frozenset[str] = frozenset()
    """The top-level modules that its code, except tests, imports."""
    stated_pythons: tuple[tuple[str, str], ...] = ()
    """Files that state a Python version, and its minor version: Dockerfile before CI."""
    static_files: StaticFiles | None = None
    """Set if it is a Django project whose settings set `STATIC_ROOT`."""
    unpackaged: tuple[str, ...] = ()
    """Modules that the code imports but the wheel does not contain; part of `files`."""
    development: tuple[str, ...] = ()
    """Paths to leave out of the whole source tree."""
    default_groups: frozenset[str] = frozenset()
    """The groups that `poetry install` installs by default."""
    path_packages: tuple[PathPackage, ...] = ()
    """The path dependencies of all groups in the lock file."""
    front_ends: Mapping[str, FrontEnd] = field(default_factory=dict)
    """The front ends that the settings name, by folder."""
    place: tuple[str, ...] = ()
    """The names of the folders from the root of the file system to the project's own."""
    tests: tuple[str, ...] = ()
    """The files and folders of its tests; only read for an image for tests."""
    has_manage_py: bool = False
    """Whether it has Django's `manage.py`; only read for an image for development or tests."""

    @property
    def index(self) -> Source | None:
        """The source that replaces PyPI, by the rule of Poetry's `Factory.create_pool`."""
        if any(source.is_pypi for source in self.sources):
            return None
        return next((source for source in self.sources if source.priority == PRIMARY), None)
