"""The wheels that are built from sources: of path dependencies, and the project's own. Pure."""

from __future__ import annotations

import json
import posixpath
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from poetry_docker_cache.docker.base_names import is_debian, is_official_alpine
from poetry_docker_cache.docker.ignore_patterns import moved
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.plan.bases import merged
from poetry_docker_cache.plan.model import Wheel
from poetry_docker_cache.plan.runtime import checked_paths
from poetry_docker_cache.plan.system_packages import tools
from poetry_docker_cache.project.locked_packages import path_dependencies
from poetry_docker_cache.project.model import WheelRoot
from poetry_docker_cache.text import listing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from poetry_docker_cache.plan.bases import Bases
    from poetry_docker_cache.plan.model import Index
    from poetry_docker_cache.plan.python_version import Python
    from poetry_docker_cache.project.model import Project, Selection
    from poetry_docker_cache.settings.table import Settings

_POETRY_CORE = "poetry.core.masonry.api"
_VERSION_FROM_GIT = {
    "poetry-dynamic-versioning": "POETRY_DYNAMIC_VERSIONING_BYPASS",
    "setuptools-scm": "SETUPTOOLS_SCM_PRETEND_VERSION",
    "hatch-vcs": "SETUPTOOLS_SCM_PRETEND_VERSION",
}
_RUST = {"maturin", "setuptools-rust"}
_APPLICATION = "application"
_BACKEND = "build-backend"


@dataclass(frozen=True, kw_only=True)
class WheelSource:
    """A folder, seen from the project's, that a wheel is built from."""

    stage: str
    path: str
    root: WheelRoot
    has_pyproject: bool = True
    version: str | None = None
    config_settings: str | None = None
    constraints: tuple[str, ...] = ()
    marker: str = ""


def wheel_sources(
    project: Project, selection: Selection, python: Python
) -> tuple[WheelSource, ...]:
    """The path dependencies that an image with this Python may hold, then the project itself.

    Raises DockerCacheError for one that cannot be built.
    """
    known = {(package.name, package.path): package for package in project.path_packages}
    found: list[WheelSource] = []
    for locked in path_dependencies(project.lock, selection, python.short):
        package = known[str(canonicalize_name(locked["name"])), locked["source"]["url"]]
        if not isinstance(package.root, WheelRoot):
            raise DockerCacheError(
                f"{package.name} is a path dependency ({package.path}) of which no wheel can be"
                f" built: {package.root.reason.rstrip('.')}.",
                fix="Mend it, or leave its group out of the image (`--without`, or `groups` in"
                " [tool.poetry-docker-cache]).",
            )
        stage = f"path-{package.name}"
        again = [source.stage.partition(".")[0] for source in found].count(stage)
        found.append(
            WheelSource(
                stage=f"{stage}.{again + 1}" if again else stage,
                path=package.path,
                root=package.root,
                has_pyproject=package.has_pyproject,
                version=package.version,
                config_settings=_json(project.installer.build_config_settings.get(package.name)),
                constraints=package.constraints,
                marker=locked["marker"],
            )
        )
    if isinstance(project.root, WheelRoot):
        found.append(WheelSource(stage=_APPLICATION, path=".", root=project.root))
    return tuple(found)


def place_in_context(
    project: Project, sources: Iterable[WheelSource], files: Iterable[str], notes: list[str]
) -> str:
    """Where in the build context the project lies: ".", if that need not hold more than it.

    `files` are other paths that the image takes, seen from the project. Raises DockerCacheError
    where the context would have to be the root of the file system.
    """
    taken = {
        posixpath.normpath(posixpath.join(source.path, path))
        for source in sources
        for path in (".", *source.root.paths)
    }.union(files)
    levels = max((_levels(path) for path in taken), default=0)
    if not levels:
        return "."
    furthest = min(path for path in taken if _levels(path) == levels)
    if levels >= len(project.place):
        raise DockerCacheError(
            f"The image takes {furthest}, which has no folder in common with the project but the"
            " root of the file system: all of it would be the build context.",
            fix="Move both into one folder.",
        )
    context = "/".join([".."] * levels)
    notes.append(f"The build context is {context}, as the image takes {furthest}.")
    (folder,) = checked_paths(["/".join(project.place[-levels:])])
    return folder


def _levels(path: str) -> int:
    """How many folders a path goes up."""
    return path.split("/").count("..")


def plan_wheels(  # noqa: PLR0913  # what it is decided from
    sources: Sequence[WheelSource],
    settings: Settings,
    *,
    folder: str,
    bases: Bases,
    index: Index | None,
    notes: list[str],
) -> tuple[Wheel, ...]:
    """The wheels, in the order of their layers; `folder` is the project's in the context."""
    if packages := [it for it in sources if it.stage != _APPLICATION]:
        named = [f"{it.stage.removeprefix('path-')} ({it.path})" for it in packages]
        notes.append(f"Path dependencies, each in a layer of its own: {listing(named)}.")
    wheels: list[Wheel] = []
    for source in sources:
        wheels.append(_wheel(source, settings, folder=folder, bases=bases, index=index))
        if source.root.needs_compiler:
            what = "The project" if source.stage == _APPLICATION else source.path
            notes.append(f"{what} has code to compile: its wheel is built on {bases.build}.")
    return _sharing_backends(wheels)


def _wheel(
    source: WheelSource, settings: Settings, *, folder: str, bases: Bases, index: Index | None
) -> Wheel:
    root = source.root
    place = posixpath.normpath(posixpath.join(folder, source.path))
    wheel = Wheel(
        name=source.stage,
        backend_name=_BACKEND,
        folder=place,
        image=bases.build if root.needs_compiler else bases.stages,
        requires=root.requires,
        backend=root.backend,
        backend_path=root.backend_path,
        version_variables=_version_variables(root),
        version=source.version,
        offline=root.backend == _POETRY_CORE and not root.needs_compiler,
        compiles=root.needs_compiler,
        packages=_packages(root, settings, bases) if root.needs_compiler else (),
        paths=checked_paths(root.paths),
        has_pyproject=source.has_pyproject,
        config_settings=source.config_settings,
        constraints=source.constraints,
        marker=source.marker,
        index=index,
        git_ignored=tuple(moved(line, place) for line in root.git_ignored),
        whole=root.whole,
        lists_files_by_git=_lists_files_by_git(root),
    )
    checked_paths([wheel.located(path) for path in root.paths])
    return wheel


def _json(settings: Mapping[str, Any] | None) -> str | None:
    return json.dumps(settings, sort_keys=True) if settings else None


def _sharing_backends(wheels: Sequence[Wheel]) -> tuple[Wheel, ...]:
    """Give each kind of build backend a stage, the project's own the first."""
    kinds: dict[tuple[object, ...], str] = {}
    named: list[Wheel] = []
    for wheel in reversed(wheels):
        kind = (wheel.image, wheel.requires, wheel.constraints, wheel.compiles)
        number = f"-{len(kinds) + 1}" if kinds else ""
        named.append(replace(wheel, backend_name=kinds.setdefault(kind, f"{_BACKEND}{number}")))
    return tuple(reversed(named))


def _version_variables(root: WheelRoot) -> tuple[str, ...]:
    """What tells a backend the version that it would ask git for: there is no `.git` in a build."""
    return tuple(
        sorted({_VERSION_FROM_GIT[name] for name in _required(root) & _VERSION_FROM_GIT.keys()})
    )


def _lists_files_by_git(root: WheelRoot) -> bool:
    """Whether data beside the code is part of the wheel because git tracks it."""
    return root.backend.startswith("setuptools") and "setuptools-scm" in _required(root)


def _packages(root: WheelRoot, settings: Settings, bases: Bases) -> tuple[str, ...]:
    """What compiles it: Rust is in no Python image, but for one that somebody made for that."""
    known = is_debian(bases.build) or is_official_alpine(bases.build)
    rust = ("cargo",) if known and _RUST & _required(root) else ()
    return merged(settings.build_packages, (*tools(bases.build), *rust))


def _required(root: WheelRoot) -> set[str]:
    """The normalised names of what the backend is made of."""
    return {
        str(canonicalize_name(re.split(r"[^\w.-]", requirement, maxsplit=1)[0]))
        for requirement in root.requires
    }
