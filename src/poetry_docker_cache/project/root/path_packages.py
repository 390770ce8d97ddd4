"""Path dependencies: local folders that are built as wheels in the image's build."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from poetry.core.factory import Factory
from poetry.core.packages.project_package import ProjectPackage
from poetry.core.poetry import Poetry
from poetry.core.pyproject.toml import PyProjectTOML

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.project.model import PathPackage, SourceTreeRoot, WheelRoot
from poetry_docker_cache.project.root.poetry_core import BACKENDS
from poetry_docker_cache.project.root.root_package import read_root
from poetry_docker_cache.system.compat import real_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from poetry.core.packages.dependency import Dependency

_SETUPTOOLS = "setuptools.build_meta:__legacy__"
"""The default of PEP 517 if no backend is named."""


def read_path_packages(
    folder: Path,
    packages: Iterable[Mapping[str, Any]],
    constraints: Mapping[Any, Iterable[Dependency]] | None = None,
) -> tuple[PathPackage, ...]:
    """Read the path dependencies of all groups among locked packages.

    `constraints` are those of `[tool.poetry.build-constraints]`, by the names of packages. A
    package that cannot be built is not an error, since it may not be selected.
    """
    return tuple(
        _read_package(folder, package, constraints or {})
        for package in packages
        if package.get("source", {}).get("type") == "directory"
    )


def _read_package(
    folder: Path, package: Mapping[str, Any], constraints: Mapping[Any, Iterable[Dependency]]
) -> PathPackage:
    name, path = canonicalize_name(package["name"]), str(package["source"]["url"])
    found = PathPackage(
        name=name,
        version=str(package["version"]),
        path=path,
        root=_read(folder, path, package["name"]),
        has_pyproject=_has_pyproject(folder / path),
    )
    try:
        return replace(found, constraints=_for_pip(constraints.get(name, ())))
    except InvalidRequirement as error:
        return replace(found, root=SourceTreeRoot(reason=str(error)))


def _for_pip(constraints: Iterable[Dependency]) -> tuple[str, ...]:
    """Write constraints as PEP 508 requirements. Raises InvalidRequirement if impossible."""
    found = set()
    for constraint in constraints:
        text = "" if constraint.source_type else constraint.to_pep_508()
        try:
            found.add(str(Requirement(text)))
        except InvalidRequirement:
            raise InvalidRequirement(
                f"its build constraint on {constraint.name} is more than one range of versions"
            ) from None
    return tuple(sorted(found))


def _has_pyproject(place: Path) -> bool:
    try:
        return (place / "pyproject.toml").is_file()
    except OSError:
        return False


def _read(place: Path, path: str, name: str) -> WheelRoot | SourceTreeRoot:
    folder = real_path(place / path)
    try:
        if not folder.is_dir():
            return SourceTreeRoot(reason="the folder does not exist")
        files = ("pyproject.toml", "setup.py", "setup.cfg")
        if not any((folder / file).is_file() for file in files):
            return SourceTreeRoot(reason="it has no pyproject.toml")
        root = _read_root(folder, name)
    except DockerCacheError as error:
        root = SourceTreeRoot(reason=error.problem.rstrip("."))
    except OSError as error:
        root = SourceTreeRoot(reason=f"it cannot be read ({error.strerror})")
    except Exception as error:  # noqa: BLE001  # Poetry would fail in the image as well
        reason = " ".join(str(error).replace(f"{folder.as_posix()}/", "").split())
        root = SourceTreeRoot(reason=reason)
    if isinstance(root, SourceTreeRoot):  # "the project" would be misread here
        root = replace(root, reason=root.reason.replace("the project", path))
    return root


def _read_root(folder: Path, name: str) -> WheelRoot | SourceTreeRoot:
    """Read the folder as Poetry does, which for another backend uses only the README."""
    data = PyProjectTOML(folder / "pyproject.toml").data
    own = "poetry" in data.get("tool", {})
    default = BACKENDS[0] if own else _SETUPTOOLS
    build_system = data.get("build-system", {})
    backend = build_system.get("build-backend", default) if isinstance(build_system, dict) else ""
    if backend in BACKENDS:
        poetry = Factory().create_poetry(folder, with_groups=False)
        return read_root(poetry, default)
    package = ProjectPackage(name, "0")
    package.root_dir = folder
    readme = data.get("project", {}).get("readme")
    if isinstance(readme, dict):
        readme = readme.get("file")
    if not isinstance(readme, str | None):
        raise DockerCacheError("`readme` in its pyproject.toml is neither a path nor a table.")
    package.readmes = (folder / readme,) if readme else ()
    poetry = Poetry(folder / "pyproject.toml", {"package-mode": True}, package)
    return read_root(poetry, default)
