"""Reads a Poetry project: metadata, groups, sources, lock file and root package."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name
from poetry.config.config import Config, PackageFilterPolicy
from poetry.core.constraints.version import Version
from poetry.core.factory import Factory
from poetry.core.json import validate_object
from poetry.toml.file import TOMLFile

from poetry_docker_cache.docker.ignore_patterns import checked, outermost
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.project.lock_file import RESTORE, check_lock
from poetry_docker_cache.project.root.applications import (
    App,
    find_apps,
    runtime_files,
    start_commands,
)
from poetry_docker_cache.project.root.declared import is_here, scripts
from poetry_docker_cache.project.root.imports import find_beside
from poetry_docker_cache.project.root.path_packages import PathPackage, read_path_packages
from poetry_docker_cache.project.root.root_package import read_root
from poetry_docker_cache.project.sources import PRIMARY, Source, read_sources
from poetry_docker_cache.settings.setting_errors import NAME, refuse_misnamed
from poetry_docker_cache.system.compat import tomllib

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from poetry.poetry import Poetry

    from poetry_docker_cache.project.lock import Lock
    from poetry_docker_cache.project.root.kinds import SourceTreeRoot, WheelRoot


@dataclass(frozen=True, kw_only=True)
class InstallerConfig:
    """Poetry's own settings that change what is installed."""

    no_binary: tuple[str, ...]
    only_binary: tuple[str, ...]
    build_config_settings: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Project:
    """A Poetry project as far as an image of it depends on it. Holds no credential."""

    metadata: Metadata
    requires_python: str
    pinned_python: str | None
    groups: frozenset[str]
    extras: frozenset[str]
    scripts: tuple[str, ...]
    """The names of its commands, without those that are tools of the project itself."""
    sources: tuple[Source, ...]
    lock: Lock
    installer: InstallerConfig
    root: WheelRoot | SourceTreeRoot
    files: tuple[str, ...] | None
    """What a running app needs beside its package; None is the whole source tree."""
    dockerignore: str | None
    start_commands: tuple[tuple[str, ...], ...] = ()
    """What may start the application, the likeliest first."""
    apps: tuple[App, ...] = ()
    """The applications that are in its source."""
    beside: tuple[str, ...] = ()
    """Modules that the code imports and no wheel of it has; of `files`, if that is not None."""
    default_groups: frozenset[str] = frozenset()
    """The groups that `poetry install` takes when it is told nothing."""
    path_packages: tuple[PathPackage, ...] = ()
    """The path dependencies of the lock, wanted or not."""
    place: tuple[str, ...] = ()
    """The names of the folders that lead to the project, the last one its own."""

    @property
    def index(self) -> Source | None:
        """The source that replaces PyPI, if one does: Poetry's rule in `Factory.create_pool`."""
        if any(source.is_pypi for source in self.sources):
            return None
        return next((source for source in self.sources if source.priority == PRIMARY), None)


def project_folder(poetry: Poetry) -> Path:
    """The folder of pyproject.toml, absolute: under `-C` Poetry's own path may be relative."""
    return poetry.file.path.parent.resolve()


def read_project(poetry: Poetry) -> Project:
    """Everything that the plan is made from.

    Raises DockerCacheError for a lock that is missing, stale or unreadable.
    """
    folder = project_folder(poetry)
    for name in ("pyproject.toml", "poetry.lock"):
        _refuse_link(folder, name)
    package = poetry.package
    root = read_root(poetry)
    lock = _lock(poetry, folder)
    files = runtime_files(folder, root)
    beside = find_beside(
        folder,
        root,
        files=files or (),
        scripts={name: it.partition(":")[0].strip() for name, it in scripts(poetry).items()},
        installed={canonicalize_name(it["name"]) for it in lock.packages},
    )
    if files is not None:
        files = None if beside.whole else outermost((*files, *beside.modules))
    return Project(
        metadata=read_metadata(poetry),
        requires_python=package.python_versions,
        pinned_python=_pinned_python(folder),
        groups=frozenset(map(str, package.dependency_group_names(include_optional=True))),
        extras=frozenset(map(str, package.extras)),
        scripts=beside.scripts,
        sources=read_sources(poetry),
        lock=lock,
        installer=_installer(poetry),
        root=root,
        files=files,
        dockerignore=checked(_text(folder / ".dockerignore")),
        start_commands=start_commands(folder),
        apps=find_apps(folder, root, files),
        beside=beside.modules,
        default_groups=frozenset(map(str, package.dependency_group_names())),
        path_packages=read_path_packages(
            folder,
            lock.packages,
            getattr(poetry, "build_constraints", {}),  # since Poetry 2.3
        ),
        place=folder.parts[1:],
    )


def _refuse_link(folder: Path, name: str) -> None:
    """Raise DockerCacheError where a build would not find what this machine does."""
    if not is_here(folder, name):
        raise DockerCacheError(
            f"{name} is a link that leaves the project: a build does not see what it points to.",
            fix="Copy that into the project, or use the project it is in: `poetry -C FOLDER`.",
        )


def settings_table(poetry: Poetry) -> Mapping[str, Any]:
    """`[tool.poetry-docker-cache]`, unchecked. Raises SettingsError where its name is misspelt."""
    tool = poetry.pyproject.data.get("tool", {})
    refuse_misnamed(tool)
    table: Mapping[str, Any] = tool.get(NAME, {})
    return table


def check_files(folder: Path, names: Sequence[str] | None) -> None:
    """Raise DockerCacheError for a file of the setting `files` that a build would not find."""
    for name in names or ():
        if not (folder / name).exists():
            raise DockerCacheError(
                f"`files` in [tool.poetry-docker-cache] names {name!r}, which does not exist.",
                fix="Correct the name, or take it out of the list.",
            )
        _refuse_link(folder, name)


def check_locked_files(folder: Path, names: Sequence[str]) -> None:
    """Raise DockerCacheError for a file dependency that is not there."""
    for name in names:
        if not (folder / name).is_file():
            raise DockerCacheError(
                f"poetry.lock takes a package from the file {name!r}, which does not exist.",
                fix="Restore it, or correct its path in pyproject.toml and run `poetry lock`.",
            )


def _installer(poetry: Poetry) -> InstallerConfig:
    # The project's poetry.toml and the environment, not this user's own settings: an image is to be
    # the same whoever builds it.
    config = Config()
    local = poetry.file.path.parent / "poetry.toml"
    if local.is_file():
        config.merge(TOMLFile(local).read().unwrap())

    def names(key: str) -> tuple[str, ...]:
        value = config.get(key)
        if not isinstance(value, str | list | None):
            raise _unusable(key, "a list of package names")
        return tuple(sorted(map(str, PackageFilterPolicy(value).packages)))

    settings = config.get("installer.build-config-settings") or {}
    if not isinstance(settings, dict) or not all(isinstance(it, dict) for it in settings.values()):
        raise _unusable("installer.build-config-settings", "a table for each package")
    return InstallerConfig(
        no_binary=names("installer.no-binary"),
        only_binary=names("installer.only-binary"),
        build_config_settings={
            str(name): {str(key): _plain(value) for key, value in sorted(settings[name].items())}
            for name in sorted(settings)
        },
    )


def _unusable(key: str, takes: str) -> DockerCacheError:
    return DockerCacheError(
        f"Poetry's setting {key} is not {takes}: what would be installed is not clear.",
        fix=f"Correct it in poetry.toml or config.toml: `poetry config --list` shows {key}.",
    )


def _plain(value: object) -> str | list[str]:
    return [str(item) for item in value] if isinstance(value, list) else str(value)


def _lock(poetry: Poetry, folder: Path) -> Lock:
    path = folder / "poetry.lock"
    try:
        text = path.read_text(encoding="utf-8")
        data = tomllib.loads(text)
    except FileNotFoundError:
        raise DockerCacheError(
            "There is no poetry.lock: without it nobody knows what the image is to hold.",
            fix="Run `poetry lock`, and commit the file.",
        ) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DockerCacheError(
            f"poetry.lock cannot be read: {error}.",
            fix="Make it readable." if isinstance(error, PermissionError) else RESTORE,
        ) from error
    return check_lock(text.partition("\n")[0], data, poetry.pyproject.data)


def _pinned_python(folder: Path) -> str | None:
    text = _text(folder / ".python-version")
    return None if text is None else pinned_python(text)


def pinned_python(text: str) -> str | None:
    """What `.python-version` names: its first real line, if that is X.Y or X.Y.Z of CPython.

    One before 3.9 could not run what the build runs.
    """
    lines = (line.split("#", 1)[0].strip() for line in text.splitlines())
    first = next((line for line in lines if line), "")
    return first if re.fullmatch(r"3\.(9|\d\d+)(\.\d+)?", first) else None


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise DockerCacheError(
            f"{path.name} cannot be read: {error}.", fix="Mend the file, or remove it."
        ) from error


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """What the OCI labels are made of; absent values are None or empty."""

    name: str | None
    version: str | None
    description: str
    licenses: str
    authors: tuple[str, ...]
    homepage: str | None
    repository: str | None


def read_metadata(poetry: Poetry) -> Metadata:
    """The metadata as pyproject.toml has it."""
    data = poetry.pyproject.data
    project, legacy = data.get("project", {}), data.get("tool", {}).get("poetry", {})
    package = poetry.package
    # Without package mode Poetry makes up a name and a version: only what is written counts.
    named = bool(project.get("name") or legacy.get("name"))
    license_ = getattr(package, "license_expression", None) or (
        package.license.id if package.license else ""
    )
    return Metadata(
        name=package.pretty_name if named else None,
        version=_version(project.get("version") or legacy.get("version")),
        description=package.description or "",
        # `license = { file = … }` is the whole text here: nothing that a label could name.
        licenses="" if "\n" in str(license_).strip() else str(license_),
        authors=tuple(map(str, package.authors)),
        homepage=package.homepage,
        repository=package.repository_url,
    )


def _version(written: object) -> str | None:
    """The version in pyproject.toml, normalised: a plugin may have put git's into the package."""
    return str(Version.parse(str(written))) if written else None


# Poetry's schemas, and the tables that they are for.
_SCHEMAS = {
    "project": "project-schema",
    "tool.poetry": "poetry-schema",
    "dependency-groups": "dependency-groups-schema",  # since Poetry 2.2
}


def unreadable(error: Exception, folder: Path) -> DockerCacheError:
    """The error for what Poetry raised when it read the project of this folder."""
    problem = str(error).strip().rstrip(".")
    try:
        path = Factory.locate(folder)
    except RuntimeError:
        fix = "Run it in the project's folder, or name that with `-C FOLDER`."
    else:
        own = str(path) in problem or ".toml" not in problem  # else it is one of Poetry's settings
        fix = f"Mend {path}; `poetry check` may tell more." if own else "Mend that file."
        # Poetry checks the types after it has used some values: `'int' has no attribute 'lower'`.
        if isinstance(error, AttributeError | LookupError | TypeError):
            problem = _wrong_type(path) or problem
    return DockerCacheError(f"The project cannot be read: {problem}.", fix=fix)


def _wrong_type(path: Path) -> str | None:
    try:
        data: Any = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    for name, schema in _SCHEMAS.items():
        table = data
        for key in name.split("."):
            table = table.get(key, {})
            if not isinstance(table, Mapping):
                return f"{key!r} in {path.name} must be a table"
        if not table:
            continue
        try:
            errors = validate_object(dict(table), schema)
        except ValueError:  # no such schema in this Poetry
            continue
        if errors:
            return f"in {path.name}, {errors[0].replace('data', name, 1)}"
    return None
