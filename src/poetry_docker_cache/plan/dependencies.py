"""How the dependencies are installed, and in which layers. Pure."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from poetry_docker_cache.docker import platforms
from poetry_docker_cache.docker.base_names import libc
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.inside.manifest.families import families, layer_name
from poetry_docker_cache.inside.manifest.layer_choice import (
    DIRECT,
    SOURCE,
    kind,
    machines_without_wheel,
    unfit_for_pip,
)
from poetry_docker_cache.inside.manifest.target import Target
from poetry_docker_cache.inside.manifest.wheel_files import fits
from poetry_docker_cache.plan.image_plan import Dependencies, Index, Layer
from poetry_docker_cache.plan.layer_split import split
from poetry_docker_cache.plan.poetry_version import choose_poetry
from poetry_docker_cache.plan.tool_pins import find_poetry_pins
from poetry_docker_cache.project.selected_packages import locked_packages
from poetry_docker_cache.text import did_you_mean, listing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from poetry_docker_cache.inside.manifest.families import Images
    from poetry_docker_cache.plan.bases import Bases
    from poetry_docker_cache.plan.image_plan import Direct, Notes
    from poetry_docker_cache.plan.python_version import Python
    from poetry_docker_cache.plan.system_packages import SystemPackages
    from poetry_docker_cache.project.model import InstallerConfig, Lock, Project, Selection
    from poetry_docker_cache.settings.table import Settings

ON_BUILD_IMAGE = (SOURCE, DIRECT)
"""The layers that Poetry installs; pip installs all others."""


def plan_layers(  # noqa: PLR0913  # all inputs of the decision
    project: Project,
    settings: Settings,
    selection: Selection,
    images: Images | None,
    *,
    python: Python,
    direct: Direct | None,
) -> tuple[Layer, ...]:
    """The layers of the dependencies, in their order.

    `direct` describes the dependencies from git, URLs and files. For one of several images,
    `images` is what each of them installs.
    """
    return tuple(
        Layer(
            name=name,
            from_source=name in ON_BUILD_IMAGE,
            may_have_libraries=not name.startswith("pure-"),
            packages=packages,
            keeps_wheels=_keeps_wheels(name, settings),
            direct=direct if name == DIRECT else None,
        )
        for name, packages in _names_by_layer(project, settings, selection, python, images).items()
    )


def _names_by_layer(
    project: Project,
    settings: Settings,
    selection: Selection,
    python: Python,
    images: Images | None,
) -> dict[str, tuple[str, ...]]:
    """The layers of the dependencies in their order, each with the names of its packages.

    Packages that the same images share are split separately, so that these images have the same
    layers.
    """
    if not images:
        return _split(project, settings, selection, python)
    layers: dict[str, tuple[str, ...]] = {}
    unsplit: dict[str, tuple[str, ...]] = {}
    environment = planned_target(settings, python).environment
    for family, packages in families(project.lock.data, images, environment).items():
        lock = replace(project.lock, data={**project.lock.data, "package": packages})
        found = _split(replace(project, lock=lock), settings, selection, python)
        for name in ON_BUILD_IMAGE:
            unsplit[name] = tuple(sorted((*unsplit.get(name, ()), *found.pop(name, ()))))
        layers.update({layer_name(name, family): names for name, names in found.items()})
    return {**layers, **{name: names for name, names in unsplit.items() if names}}


def _split(
    project: Project, settings: Settings, selection: Selection, python: Python
) -> dict[str, tuple[str, ...]]:
    target = planned_target(settings, python)
    installer = project.installer
    return split(
        (
            (
                str(canonicalize_name(package["name"])),
                kind(
                    package,
                    target,
                    no_binary=installer.no_binary,
                    only_binary=installer.only_binary,
                ),
            )
            for package in locked_packages(project.lock, selection, python.short)
        ),
        layers=settings.layers,
        own=settings.own_layers,
    )


def planned_target(settings: Settings, python: Python) -> Target:
    """What packages are chosen for: the Python and, if known, the C library and the machines."""
    machines = platforms.machines(settings.platforms)
    return Target.linux(python=python.short, libc=libc(settings.base_image), machines=machines)


def refuse_unknown_packages(names: Sequence[str], lock: Lock) -> None:
    """Raise DockerCacheError for a package in `own-layers` that the lock file does not have."""
    known = {str(canonicalize_name(package["name"])) for package in lock.packages}
    for name in names:
        if name not in known:
            raise DockerCacheError(
                f"`own-layers` in [tool.poetry-docker-cache] names {name!r}, which is not in"
                " poetry.lock.",
                fix=f"{did_you_mean(name, sorted(known))}Correct it, or remove it from the list.",
            )


def source_notes(
    packages: Iterable[Mapping[str, Any]], from_source: Sequence[str], target: Target, builder: str
) -> Notes:
    """Notes on the packages that are built from source, on all platforms or on some."""
    partly: dict[str, list[str]] = {}
    unfit: dict[str, str] = {}
    for package in packages:
        name = str(canonicalize_name(package["name"]))
        names = [file["file"] for file in package.get("files", ())]
        fitting = [file for file in names if fits(file, target)]
        if name in from_source and fitting:
            lacking = machines_without_wheel(package, fitting, target)
            for machine in lacking:
                partly.setdefault(platforms.platform_of(machine), []).append(name)
            if not lacking and (why := unfit_for_pip(package)):
                unfit[name] = why
    some = {name for names in partly.values() for name in names}
    wholly = [name for name in from_source if name not in some and name not in unfit]
    where = f"on {builder}, in a separate layer"
    return (
        *([f"{listing(wholly)} must be built from source, {where}."] if wholly else []),
        *(f"{name} is installed by Poetry, {where}: {why}." for name, why in unfit.items()),
        *(
            f"{listing(names)} {'have' if len(names) > 1 else 'has'} no wheel for {platform}:"
            f" built from source there, {where}."
            for platform, names in sorted(partly.items())
        ),
    )


def plan_dependencies(  # noqa: PLR0913  # all inputs of the decision
    project: Project,
    settings: Settings,
    selection: Selection,
    images: Images | None,
    *,
    layers: tuple[Layer, ...],
    further: tuple[Layer, ...],
    bases: Bases,
    system: SystemPackages,
) -> Dependencies:
    """How the layers are installed; `images` is what each of several images installs.

    `further` are the layers of images for development and tests.

    Raises DockerCacheError for a Poetry that does not run on the image's Python.
    """
    poetry = choose_poetry(
        project.lock.generator, setting=settings.poetry_version, python=bases.python
    )
    from_source = any(layer.from_source for layer in (*layers, *further))
    pinned = from_source and settings.pinned_tools
    return Dependencies(
        layers=layers,
        compile=settings.compile,
        libc=libc(settings.base_image),
        machines=platforms.machines(settings.platforms),
        index=plan_index(project),
        groups=selection.groups,
        extras=selection.extras,
        no_binary=project.installer.no_binary,
        only_binary=project.installer.only_binary,
        poetry=poetry if from_source else None,
        poetry_pins=find_poetry_pins(poetry, bases.python) if pinned else (),
        environment=_installer_environment(project.installer),
        build_config_settings=_json(project.installer.build_config_settings),
        build_image=bases.build,
        packages=system.build if any(layer.from_source for layer in layers) else (),
        instructions=settings.instructions.build,
        images=images or {},
        reuses_image=settings.reuse_image is not None and bool(layers),
        build_network=settings.build_network,
        older_lock=project.lock.older_format is not None,
        further=further,
    )


def plan_index(project: Project) -> Index | None:
    """The package source that replaces PyPI."""
    return Index(name=project.index.name, url=project.index.url) if project.index else None


def reuse_notes(settings: Settings, layers: Sequence[str]) -> Notes:
    """Notes on layers that do not use `download-cache`."""
    if settings.download_cache is None or not layers:
        return ()
    if not any(_keeps_wheels(name, settings) for name in layers):
        return ("`download-cache` is not used: Poetry installs all packages, from its own cache.",)
    if any(name in ON_BUILD_IMAGE for name in layers):
        return ("Packages that are built from source do not use `download-cache`.",)
    return ()


def _keeps_wheels(layer: str, settings: Settings) -> bool:
    return settings.download_cache is not None and layer not in ON_BUILD_IMAGE


def _installer_environment(config: InstallerConfig) -> dict[str, str]:
    names = {
        "POETRY_INSTALLER_NO_BINARY": config.no_binary,
        "POETRY_INSTALLER_ONLY_BINARY": config.only_binary,
    }
    return {variable: ",".join(packages) for variable, packages in names.items() if packages}


def _json(settings: Mapping[str, Any]) -> str | None:
    return json.dumps(settings, sort_keys=True) if settings else None
