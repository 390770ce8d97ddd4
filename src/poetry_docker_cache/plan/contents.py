"""What an image installs: gathered, refused where no build can install it, and told of. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from poetry_docker_cache.inside.manifest.families import plain_name
from poetry_docker_cache.inside.manifest.layer_choice import DIRECT, SOURCE
from poetry_docker_cache.plan.dependencies import (
    ON_BUILD_IMAGE,
    package_layers,
    planned_target,
    refuse_unknown_packages,
    reuse_notes,
    source_notes,
)
from poetry_docker_cache.plan.direct import direct_notes, plan_direct
from poetry_docker_cache.plan.layer_split import own_layers_note, refuse_too_many
from poetry_docker_cache.plan.wheels import wheel_sources
from poetry_docker_cache.project.lock import locked_packages
from poetry_docker_cache.project.sources import refuse_sources

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from poetry_docker_cache.inside.manifest.families import Images
    from poetry_docker_cache.inside.manifest.target import Target
    from poetry_docker_cache.plan.bases import Bases
    from poetry_docker_cache.plan.model import Direct
    from poetry_docker_cache.plan.python_version import Python
    from poetry_docker_cache.plan.wheels import WheelSource
    from poetry_docker_cache.project.reader import Project
    from poetry_docker_cache.project.selection import Selection
    from poetry_docker_cache.settings.table import Settings


@dataclass(frozen=True, kw_only=True)
class Contents:
    """What the image installs."""

    packages: Sequence[Mapping[str, Any]]
    """The `[[package]]` tables of the dependencies."""
    target: Target
    """What they are chosen for."""
    layers: Mapping[str, tuple[str, ...]]
    """The names of the dependencies by layer."""
    direct: Direct | None
    sources: tuple[WheelSource, ...]
    """What wheels are built from: path dependencies, then the project itself."""

    @property
    def built(self) -> tuple[str, ...]:
        """The dependencies that are built from source, or come from no index."""
        return tuple(name for layer in ON_BUILD_IMAGE for name in self.layers.get(layer, ()))

    @property
    def files(self) -> tuple[str, ...]:
        """The files among the dependencies."""
        return self.direct.files if self.direct else ()

    @property
    def ready_made(self) -> set[str]:
        """The dependencies that are installed from wheels."""
        wheels = self.layers.keys() - {*ON_BUILD_IMAGE}
        return {name for layer in wheels for name in self.layers[layer]}


def gather(
    project: Project,
    settings: Settings,
    selection: Selection,
    images: Images | None,
    python: Python,
) -> Contents:
    """What is installed. Raises DockerCacheError for what no build can install."""
    packages = locked_packages(project.lock, selection, python.short)
    refuse_sources(project.sources, packages)
    direct = plan_direct(packages, settings.ssh_known_hosts)
    refuse_unknown_packages(settings.own_layers, project.lock)
    layers = package_layers(project, settings, selection, python, images)
    sources = wheel_sources(project, selection, python)
    refuse_too_many(len(layers), len(sources))
    return Contents(
        packages=packages,
        target=planned_target(settings, python),
        layers=layers,
        direct=direct,
        sources=sources,
    )


def own_layers_of(
    project: Project,
    settings: Settings,
    contents: Contents,
    of_all: Selection,
    python: Python,
) -> list[str]:
    """The setting, without what only other images hold: they may have it in common."""
    if project.lock.older_format:
        return list(settings.own_layers)
    everything = locked_packages(project.lock, of_all, python.short)
    elsewhere = _names(everything) - _names(contents.packages)
    return [name for name in settings.own_layers if name not in elsewhere]


def _names(packages: Sequence[Mapping[str, Any]]) -> set[str]:
    return {str(canonicalize_name(package["name"])) for package in packages}


def contents_notes(
    project: Project,
    settings: Settings,
    contents: Contents,
    own_layers: Sequence[str],
    bases: Bases,
) -> list[str]:
    """What is told of what is installed."""
    layers, older = contents.layers, project.lock.older_format
    # A path dependency has a layer of its own, too.
    own = {source.stage.replace("path-", "own-", 1) for source in contents.sources}
    return [
        *([_older_lock(older)] if older else []),
        *source_notes(contents.packages, layers.get(SOURCE, ()), contents.target, bases.build),
        *direct_notes(layers.get(DIRECT, ()), contents.direct, bases.build),
        *own_layers_note(own_layers, {*map(plain_name, layers), *own}),
        *reuse_notes(settings, tuple(layers)),
    ]


def _older_lock(version: str) -> str:
    return (
        f"poetry.lock has the format {version}, in which only its dependencies tell what is for"
        " this image. `poetry lock` with Poetry 2.1 or newer keeps the versions and writes that"
        " down, which is also sooner for `poetry install`."
    )
