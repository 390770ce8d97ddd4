"""The wheels that are built from source: path dependencies, and the project itself. Pure."""

from __future__ import annotations

import posixpath
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from poetry_docker_cache.docker.base_names import is_debian, is_official_alpine
from poetry_docker_cache.docker.ignore_patterns import moved
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.plan.bases import build_notes
from poetry_docker_cache.plan.build_context import checked_paths
from poetry_docker_cache.plan.dependencies import plan_index
from poetry_docker_cache.plan.image_plan import APPLICATION, Wheel
from poetry_docker_cache.plan.system_packages import merged, tools
from poetry_docker_cache.plan.tool_pins import find_pins
from poetry_docker_cache.text import listing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from poetry_docker_cache.plan.bases import Bases
    from poetry_docker_cache.plan.contents import Contents, WheelSource
    from poetry_docker_cache.plan.image_plan import Index, Notes
    from poetry_docker_cache.project.model import Project, WheelRoot
    from poetry_docker_cache.settings.asset_values import Assets
    from poetry_docker_cache.settings.table import Settings

_POETRY_CORE = "poetry.core.masonry.api"
VERSION_FROM_GIT = {
    "poetry-dynamic-versioning": "POETRY_DYNAMIC_VERSIONING_BYPASS",
    "setuptools-scm": "SETUPTOOLS_SCM_PRETEND_VERSION",
    "hatch-vcs": "SETUPTOOLS_SCM_PRETEND_VERSION",
}
_RUST = {"maturin", "setuptools-rust"}
_BACKEND = "build-backend"


def place_in_context(
    project: Project, contents: Contents, front_ends: Sequence[Assets] = ()
) -> tuple[str, Notes]:
    """The path of the project in the build context: "." unless the image needs files outside it.

    Raises DockerCacheError if the context would have to be the root of the file system.
    """
    taken = {
        posixpath.normpath(posixpath.join(source.path, path))
        for source in contents.sources
        for path in (".", *source.root.paths)
    }.union(contents.files, *((each.folder, *each.files) for each in front_ends))
    levels = max((_levels(path) for path in taken), default=0)
    if not levels:
        return ".", ()
    furthest = min(path for path in taken if _levels(path) == levels)
    if levels >= len(project.place):
        raise DockerCacheError(
            f"The build context would be the root of the file system, because the image needs"
            f" {furthest}: no other folder contains both the project and that path.",
            fix="Move both into one folder.",
        )
    context = "/".join([".."] * levels)
    (folder,) = checked_paths(["/".join(project.place[-levels:])])
    return folder, (f"The build context is {context}, because the image needs {furthest}.",)


def _levels(path: str) -> int:
    """How many folders a path goes up."""
    return path.split("/").count("..")


def plan_wheels(
    project: Project, settings: Settings, contents: Contents, folder: str, bases: Bases
) -> tuple[tuple[Wheel, ...], Notes]:
    """The wheels, in the order of their layers; `folder` is the project's path in the context."""
    index = plan_index(project)
    wheels = tuple(
        _wheel(source, settings, folder=folder, bases=bases, index=index)
        for source in contents.sources
    )
    packages = [source for source in contents.sources if source.stage != APPLICATION]
    named = [f"{source.stage.removeprefix('path-')} ({source.path})" for source in packages]
    compiled = [source for source in contents.sources if source.root.needs_compiler]
    return _sharing_backends(wheels), (
        *([f"Path dependencies, each in its own layer: {listing(named)}."] if named else []),
        *(
            f"{'The project' if source.stage == APPLICATION else source.path} has code to compile:"
            f" its wheel is built on {bases.build}."
            for source in compiled
        ),
        *build_notes(settings, bases, compiles=bool(contents.from_source or compiled)),
    )


def _wheel(
    source: WheelSource, settings: Settings, *, folder: str, bases: Bases, index: Index | None
) -> Wheel:
    root = source.root
    place = posixpath.normpath(posixpath.join(folder, source.path))
    wheel = Wheel(
        name=source.stage,
        backend_name=_BACKEND,
        folder=place,
        image=bases.build if root.needs_compiler else bases.stage_image,
        requires=root.requires,
        # The project's own constraints may exclude the pins.
        pins=(
            find_pins(root.requires, bases.python)
            if settings.pinned_tools and not source.constraints
            else ()
        ),
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


def _sharing_backends(wheels: Sequence[Wheel]) -> tuple[Wheel, ...]:
    """Let wheels with the same build backend share its stage; the project's own comes first."""
    kinds: dict[tuple[object, ...], str] = {}
    named: list[Wheel] = []
    for wheel in reversed(wheels):
        kind = (wheel.image, wheel.requires, wheel.constraints, wheel.compiles)
        number = f"-{len(kinds) + 1}" if kinds else ""
        named.append(replace(wheel, backend_name=kinds.setdefault(kind, f"{_BACKEND}{number}")))
    return tuple(reversed(named))


def _version_variables(root: WheelRoot) -> tuple[str, ...]:
    """The variables that set the version: the build has no `.git` to read it from."""
    return tuple(
        sorted({VERSION_FROM_GIT[name] for name in _required(root) & VERSION_FROM_GIT.keys()})
    )


def _lists_files_by_git(root: WheelRoot) -> bool:
    """Whether the wheel contains the data files that git tracks."""
    return root.backend.startswith("setuptools") and "setuptools-scm" in _required(root)


def _packages(root: WheelRoot, settings: Settings, bases: Bases) -> tuple[str, ...]:
    """The system packages to compile a wheel with; no official Python image has Rust."""
    known = is_debian(bases.build) or is_official_alpine(bases.build)
    rust = ("cargo",) if known and _RUST & _required(root) else ()
    return merged(settings.build_packages, (*tools(bases.build), *rust))


def _required(root: WheelRoot) -> set[str]:
    """The normalised names of the build requirements."""
    return {
        str(canonicalize_name(re.split(r"[^\w.-]", requirement, maxsplit=1)[0]))
        for requirement in root.requires
    }
