"""The reader of a Poetry project: metadata, groups, sources, lock file and root package."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name
from packaging.version import Version as PlainVersion
from poetry.config.config import Config, PackageFilterPolicy
from poetry.core.constraints.version import Version, parse_constraint
from poetry.core.factory import Factory
from poetry.core.json import validate_object
from poetry.toml.file import TOMLFile

from poetry_docker_cache.docker.ignore_patterns import checked, outermost
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.project.lock import RESTORE, check_lock
from poetry_docker_cache.project.model import (
    PRIMARY,
    InstallerConfig,
    Metadata,
    Project,
    PythonConstraint,
    Source,
    VersionRange,
    WheelRoot,
)
from poetry_docker_cache.project.root.applications import (
    development_scripts,
    find_apps,
    runtime_files,
)
from poetry_docker_cache.project.root.declared import is_here, scripts
from poetry_docker_cache.project.root.development import development_files
from poetry_docker_cache.project.root.imports import find_unpackaged, imported_modules
from poetry_docker_cache.project.root.path_packages import read_path_packages
from poetry_docker_cache.project.root.root_package import read_root
from poetry_docker_cache.project.root.static_files import find_static_files
from poetry_docker_cache.project.selection import DEVELOPMENT, MAIN_GROUP
from poetry_docker_cache.project.stated_pythons import stated_pythons
from poetry_docker_cache.project.stated_starts import stated_starts
from poetry_docker_cache.settings.setting_errors import NAME, refuse_misnamed
from poetry_docker_cache.system.compat import tomllib
from poetry_docker_cache.system.outward_links import refuse_outward_links

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from poetry.poetry import Poetry

    from poetry_docker_cache.project.model import Lock


def project_folder(poetry: Poetry) -> Path:
    """Return the absolute folder of pyproject.toml; with `-C`, Poetry's path may be relative."""
    return poetry.file.path.parent.resolve()


def read_project(
    poetry: Poetry, without: Collection[str] = (), *, may_be_stale: bool = False
) -> Project:
    """Read all that a plan is made from; `without` are Dockerfiles that are about to be replaced.

    Raises DockerCacheError for a lock file that is missing, unreadable or, unless it may be, stale.
    """
    folder = project_folder(poetry)
    for name in ("pyproject.toml", "poetry.lock"):
        _refuse_link(folder, name)
    package = poetry.package
    root = read_root(poetry)
    lock = read_lock(poetry, may_be_stale=may_be_stale)
    references = scripts(poetry)
    default_groups = frozenset(map(str, package.dependency_group_names()))
    stated = stated_starts(folder, root, references, without)
    files = runtime_files(folder, root)
    if files is not None:
        files = outermost((*files, *(path for start in stated for path in start.paths)))
    unpackaged = find_unpackaged(
        folder,
        root,
        files=files or (),
        scripts={name: place.partition(":")[0].strip() for name, place in references.items()},
        installed={canonicalize_name(table["name"]) for table in lock.packages},
    )
    if files is not None:
        files = None if unpackaged.whole else outermost((*files, *unpackaged.modules))
    apps = find_apps(folder, root, files, references)
    started = [path for start in stated for path in start.paths]
    return Project(
        metadata=read_metadata(poetry),
        requires_python=python_constraint(package.python_versions),
        pinned_python=_pinned_python(folder),
        groups=frozenset(map(str, package.dependency_group_names(include_optional=True))),
        extras=frozenset(map(str, package.extras)),
        scripts=unpackaged.scripts,
        sources=read_sources(poetry),
        lock=lock,
        installer=_installer(poetry),
        root=root,
        files=files,
        dockerignore=_ignore_file(folder),
        development_scripts=development_scripts(folder, references),
        stated_starts=stated,
        apps=apps,
        gunicorn=_text(folder / "gunicorn.conf.py"),
        direct=frozenset(str(canonicalize_name(need.name)) for need in package.all_requires),
        stated_pythons=stated_pythons(folder, without),
        static_files=find_static_files(folder),
        unpackaged=unpackaged.modules,
        development=(
            development_files(folder, [*started, *(app.path for app in apps)])
            if files is None and not (isinstance(root, WheelRoot) and root.whole)
            else ()
        ),
        default_groups=default_groups,
        # Reading all code takes time, and only another group makes a difference.
        imported=(
            imported_modules(folder, root, files)
            if default_groups - DEVELOPMENT - {MAIN_GROUP}
            else frozenset()
        ),
        path_packages=read_path_packages(
            folder,
            lock.packages,
            getattr(poetry, "build_constraints", {}),  # since Poetry 2.3
        ),
        place=folder.parts[1:],
    )


def _refuse_link(folder: Path, name: str) -> None:
    """Raise DockerCacheError for a link to a path that does not exist in the build."""
    if not is_here(folder, name):
        raise DockerCacheError(
            f"{name} is a link that leaves the project, so the build does not have its target.",
            fix="Copy the target into the project, or run the command in the target's project:"
            " `poetry -C FOLDER`.",
        )


def settings_table(poetry: Poetry) -> Mapping[str, Any]:
    """Return `[tool.poetry-docker-cache]` unchecked. Raises SettingsError for a misspelled name."""
    tool = poetry.pyproject.data.get("tool", {})
    refuse_misnamed(tool)
    table: Mapping[str, Any] = tool.get(NAME, {})
    return table


def read_sources(poetry: Poetry) -> tuple[Source, ...]:
    """Read the package sources, in the order of pyproject.toml."""
    return tuple(
        Source(
            name=str(source["name"]),
            url=str(source.get("url", "")),
            priority=str(source.get("priority", PRIMARY)).lower(),
        )
        for source in poetry.local_config.get("source", [])
    )


def check_files(folder: Path, names: Sequence[str] | None, *, key: str = "files") -> None:
    """Raise DockerCacheError for a path in a setting that does not exist in the build."""
    for name in names or ():
        if not (folder / name).exists():
            raise DockerCacheError(
                f"`{key}` in [tool.poetry-docker-cache] names {name!r}, which does not exist.",
                fix="Correct the name, or remove it from the list.",
            )
        _refuse_link(folder, name)


def check_locked_files(folder: Path, names: Sequence[str]) -> None:
    """Raise DockerCacheError for a file dependency that does not exist."""
    for name in names:
        if not (folder / name).is_file():
            raise DockerCacheError(
                f"poetry.lock has a dependency on the file {name!r}, which does not exist.",
                fix="Restore it, or correct its path in pyproject.toml and run `poetry lock`.",
            )


def _installer(poetry: Poetry) -> InstallerConfig:
    # The project's poetry.toml and the environment, but not the user's own configuration: every
    # user must get the same image.
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
    if not isinstance(settings, dict) or not all(
        isinstance(each, dict) for each in settings.values()
    ):
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
        f"Poetry's setting {key} must be {takes}.",
        fix=f"Correct it in poetry.toml or in the environment: `poetry config --list` shows {key}.",
    )


def _plain(value: object) -> str | list[str]:
    return [str(item) for item in value] if isinstance(value, list) else str(value)


def read_lock(poetry: Poetry, *, may_be_stale: bool = False) -> Lock:
    """Read the lock file. Raises DockerCacheError as `read_project` does."""
    path = project_folder(poetry) / "poetry.lock"
    try:
        text = path.read_text(encoding="utf-8")
        data = tomllib.loads(text)
    except FileNotFoundError:
        raise DockerCacheError(
            "poetry.lock not found: the image is built from it.",
            fix="Run `poetry lock` and commit the file.",
        ) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DockerCacheError(
            f"poetry.lock cannot be read: {error}.",
            fix="Change its permissions." if isinstance(error, PermissionError) else RESTORE,
        ) from error
    return check_lock(
        text.partition("\n")[0], data, poetry.pyproject.data, may_be_stale=may_be_stale
    )


def python_constraint(text: str) -> PythonConstraint:
    """Read a constraint on the Python version, in the syntax of Poetry or of PEP 440."""
    return PythonConstraint(
        text=text,
        ranges=tuple(
            VersionRange(
                lower=_plain_version(part.min),
                upper=_plain_version(part.max),
                includes_lower=part.include_min,
                includes_upper=part.include_max,
            )
            for part in parse_constraint(text).flatten()
        ),
    )


def _plain_version(version: Version | None) -> PlainVersion | None:
    return None if version is None else PlainVersion(str(version))


def _ignore_file(folder: Path) -> str | None:
    path = folder / ".dockerignore"
    refuse_outward_links([path], folder)
    return checked(_text(path))


def _pinned_python(folder: Path) -> str | None:
    text = _text(folder / ".python-version")
    return None if text is None else pinned_python(text)


def pinned_python(text: str) -> str | None:
    """Return the version in `.python-version`: its first line, if that is a CPython X.Y or X.Y.Z.

    Versions before 3.9 are ignored, because the scripts in the build do not run on them.
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
            f"{path.name} cannot be read: {error}.", fix="Fix or remove the file."
        ) from error


def read_metadata(poetry: Poetry) -> Metadata:
    """Read the metadata in pyproject.toml."""
    data = poetry.pyproject.data
    project, legacy = data.get("project", {}), data.get("tool", {}).get("poetry", {})
    package = poetry.package
    # Without package mode Poetry invents a name and a version: use only those in pyproject.toml.
    named = bool(project.get("name") or legacy.get("name"))
    license_ = getattr(package, "license_expression", None) or (
        package.license.id if package.license else ""
    )
    return Metadata(
        name=package.pretty_name if named else None,
        version=_version(project.get("version") or legacy.get("version")),
        description=package.description or "",
        # With `license = { file = … }` this is the whole text, which is too long for a label.
        licenses="" if "\n" in str(license_).strip() else str(license_),
        authors=tuple(map(str, package.authors)),
        homepage=package.homepage,
        repository=package.repository_url,
    )


def _version(written: object) -> str | None:
    """Normalise the version in pyproject.toml; a plugin may have replaced that of the package."""
    return str(Version.parse(str(written))) if written else None


# The tables of pyproject.toml, and Poetry's schemas for them.
_SCHEMAS = {
    "project": "project-schema",
    "tool.poetry": "poetry-schema",
    "dependency-groups": "dependency-groups-schema",  # since Poetry 2.2
}


def unreadable(error: Exception, folder: Path) -> DockerCacheError:
    """Return the error for an exception that Poetry raised while reading the project."""
    problem = str(error).strip().rstrip(".")
    try:
        path = Factory.locate(folder)
    except RuntimeError:
        fix = "Run the command in the project's folder, or add `-C FOLDER`."
    else:
        # Otherwise the problem is in a file of Poetry's configuration.
        own = str(path) in problem or ".toml" not in problem
        fix = f"Fix {path}; `poetry check` may show more." if own else "Fix that file."
        # Poetry uses some values before it checks their types: `'int' has no attribute 'lower'`.
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
