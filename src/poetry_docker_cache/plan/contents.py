"""What an image installs: the locked packages, and the sources that wheels are built from. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.inside.manifest.families import plain_name
from poetry_docker_cache.inside.manifest.layer_choice import DIRECT, SOURCE
from poetry_docker_cache.plan.dependencies import (
    plan_layers,
    planned_target,
    refuse_unknown_packages,
    reuse_notes,
    source_notes,
)
from poetry_docker_cache.plan.direct_dependencies import direct_notes, plan_direct
from poetry_docker_cache.plan.image_plan import APPLICATION
from poetry_docker_cache.plan.layer_split import own_layers_notes, refuse_too_many
from poetry_docker_cache.project.model import WheelRoot
from poetry_docker_cache.project.selected_packages import locked_packages, path_dependencies
from poetry_docker_cache.project.sources import refuse_unknown_sources

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from poetry_docker_cache.inside.manifest.families import Images
    from poetry_docker_cache.plan.bases import Bases
    from poetry_docker_cache.plan.image_plan import Layer, Notes
    from poetry_docker_cache.plan.python_version import Python
    from poetry_docker_cache.project.model import Project, Selection
    from poetry_docker_cache.settings.table import Settings


@dataclass(frozen=True, kw_only=True)
class WheelSource:
    """A folder that a wheel is built from."""

    stage: str
    path: str
    """The path of the folder, relative to the project."""
    root: WheelRoot
    has_pyproject: bool = True
    version: str | None = None
    config_settings: str | None = None
    constraints: tuple[str, ...] = ()
    marker: str = ""


@dataclass(frozen=True, kw_only=True)
class Contents:
    """What the image installs."""

    packages: Sequence[Mapping[str, Any]]
    """The `[[package]]` tables of the dependencies."""
    layers: tuple[Layer, ...]
    sources: tuple[WheelSource, ...]
    """The sources of wheels: path dependencies, then the project itself."""

    @property
    def names(self) -> set[str]:
        """The names of the dependencies, as in the lock file."""
        return {package["name"] for package in self.packages}

    @property
    def from_source(self) -> tuple[str, ...]:
        """The dependencies that are built from source or do not come from a package index."""
        return tuple(name for layer in self.layers if layer.from_source for name in layer.packages)

    @property
    def files(self) -> tuple[str, ...]:
        """The paths of dependencies that are files."""
        return tuple(path for layer in self.layers if layer.direct for path in layer.direct.files)


def plan_contents(  # noqa: PLR0913  # all inputs of the decision
    project: Project,
    settings: Settings,
    selection: Selection,
    images: Images | None,
    *,
    selected_by_any: Selection,
    bases: Bases,
) -> tuple[Contents, Notes]:
    """Gather what is installed. Raises DockerCacheError for a package that cannot be installed."""
    python = bases.python
    packages = locked_packages(project.lock, selection, python.short)
    refuse_unknown_sources(project.sources, packages)
    direct = plan_direct(packages, settings.ssh_known_hosts)
    refuse_unknown_packages(settings.own_layers, project.lock)
    layers = plan_layers(project, settings, selection, images, python=python, direct=direct)
    sources = _wheel_sources(project, selection, python)
    refuse_too_many(len(layers), len(sources))
    target = planned_target(settings, python)
    # A path dependency has its own layer, too.
    own = {source.stage.replace("path-", "own-", 1) for source in sources}
    wanted = _own_layers(project, settings, packages, selected_by_any, python)
    names = {layer.name: layer.packages for layer in layers}
    contents = Contents(packages=packages, layers=layers, sources=sources)
    return contents, (
        *_older_lock_notes(project.lock.older_format),
        *source_notes(packages, names.get(SOURCE, ()), target, bases.build),
        *direct_notes(names.get(DIRECT, ()), direct, bases.build, ssh=settings.ssh),
        *own_layers_notes(wanted, {*map(plain_name, names), *own}),
        *reuse_notes(settings, tuple(names)),
    )


def _wheel_sources(
    project: Project, selection: Selection, python: Python
) -> tuple[WheelSource, ...]:
    """The path dependencies of an image with this Python, then the project itself.

    Raises DockerCacheError for one that cannot be built.
    """
    known = {(package.name, package.path): package for package in project.path_packages}
    found: list[WheelSource] = []
    for locked in path_dependencies(project.lock, selection, python.short):
        package = known[str(canonicalize_name(locked["name"])), locked["source"]["url"]]
        if not isinstance(package.root, WheelRoot):
            raise DockerCacheError(
                f"No wheel can be built from the path dependency {package.name} ({package.path}):"
                f" {package.root.reason.rstrip('.')}.",
                fix="Fix it, or leave its group out of the image (`--without`, or `groups` in"
                " [tool.poetry-docker-cache]).",
            )
        stage = f"path-{package.name}"
        again = [source.stage.partition(".")[0] for source in found].count(stage)
        config_settings = project.installer.build_config_settings.get(package.name)
        found.append(
            WheelSource(
                stage=f"{stage}.{again + 1}" if again else stage,
                path=package.path,
                root=package.root,
                has_pyproject=package.has_pyproject,
                version=package.version,
                config_settings=(
                    json.dumps(config_settings, sort_keys=True) if config_settings else None
                ),
                constraints=package.constraints,
                marker=locked["marker"],
            )
        )
    if isinstance(project.root, WheelRoot):
        found.append(WheelSource(stage=APPLICATION, path=".", root=project.root))
    return tuple(found)


def _own_layers(
    project: Project,
    settings: Settings,
    packages: Sequence[Mapping[str, Any]],
    selected_by_any: Selection,
    python: Python,
) -> tuple[str, ...]:
    """The names in `own-layers`, without packages that only other images of the project have."""
    if project.lock.older_format:
        return settings.own_layers
    elsewhere = _names(locked_packages(project.lock, selected_by_any, python.short)) - _names(
        packages
    )
    return tuple(name for name in settings.own_layers if name not in elsewhere)


def _names(packages: Sequence[Mapping[str, Any]]) -> set[str]:
    return {str(canonicalize_name(package["name"])) for package in packages}


def _older_lock_notes(version: str | None) -> Notes:
    if version is None:
        return ()
    note = (
        f"poetry.lock has the format {version}, which does not record the groups of a package."
        " Run `poetry lock` with Poetry 2.1 or newer: it keeps the locked versions, and"
        " `poetry install` becomes faster as well."
    )
    return (note,)
