"""How the dependencies get into the image, and in which layers. Pure."""

from __future__ import annotations

import difflib
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
from poetry_docker_cache.plan.layer_split import split
from poetry_docker_cache.plan.model import Dependencies, Layer
from poetry_docker_cache.plan.python_version import choose_poetry
from poetry_docker_cache.project.lock import locked_packages
from poetry_docker_cache.text import listing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from poetry_docker_cache.inside.manifest.families import Images
    from poetry_docker_cache.plan.bases import Bases
    from poetry_docker_cache.plan.model import Direct, Index
    from poetry_docker_cache.plan.python_version import Python
    from poetry_docker_cache.project.lock import Lock
    from poetry_docker_cache.project.reader import InstallerConfig, Project
    from poetry_docker_cache.project.selection import Selection
    from poetry_docker_cache.settings.table import Settings

ON_BUILD_IMAGE = (SOURCE, DIRECT)
"""The layers that Poetry installs; pip installs all others."""


def package_layers(
    project: Project,
    settings: Settings,
    selection: Selection,
    python: Python,
    images: Images | None = None,
) -> dict[str, tuple[str, ...]]:
    """The layers of the dependencies in their order, each with the names of its packages.

    Where the image is one of several, `images` are what each installs: what the same of them
    install is split by itself, so that its layers are the same in each of those.
    """
    if not images:
        return _split(project, settings, selection, python)
    layers: dict[str, tuple[str, ...]] = {}
    whole: dict[str, tuple[str, ...]] = {}
    environment = planned_target(settings, python).environment
    for family, packages in families(project.lock.data, images, environment).items():
        lock = replace(project.lock, data={**project.lock.data, "package": packages})
        found = _split(replace(project, lock=lock), settings, selection, python)
        for name in ON_BUILD_IMAGE:
            whole[name] = tuple(sorted((*whole.get(name, ()), *found.pop(name, ()))))
        layers.update({layer_name(name, family): names for name, names in found.items()})
    return {**layers, **{name: names for name, names in whole.items() if names}}


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
    """What the packages are chosen for, as far as it is known before the build."""
    machines = platforms.machines(settings.platforms)
    return Target.linux(python=python.short, libc=libc(settings.base_image), machines=machines)


def refuse_unknown_packages(names: Sequence[str], lock: Lock) -> None:
    """Raise DockerCacheError for a package of `own-layers` that the lock does not have."""
    known = {str(canonicalize_name(package["name"])) for package in lock.packages}
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, sorted(known), n=1)
            raise DockerCacheError(
                f"`own-layers` in [tool.poetry-docker-cache] names {name!r}, which poetry.lock does"
                " not have.",
                fix=f"Write {near[0]!r}." if near else "Take it out of the list.",
            )


def source_notes(
    packages: Iterable[Mapping[str, Any]], from_source: Sequence[str], target: Target, builder: str
) -> list[str]:
    """What is told of the packages that must be built, on all platforms or on some."""
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
    on = f"on {builder}, in a layer apart"
    notes = [f"{listing(wholly)} must be built from source, {on}."] if wholly else []
    notes += [f"{name} is installed by Poetry, {on}: {why}." for name, why in unfit.items()]
    return notes + [
        f"{listing(names)} {'have' if len(names) > 1 else 'has'} no wheel for {platform}:"
        f" built from source there, {on}."
        for platform, names in sorted(partly.items())
    ]


def plan_dependencies(  # noqa: PLR0913  # what it is decided from
    project: Project,
    settings: Settings,
    selection: Selection,
    *,
    python: Python,
    index: Index | None,
    layers: Mapping[str, tuple[str, ...]],
    bases: Bases,
    packages: tuple[str, ...],
    direct: Direct | None,
    images: Images | None = None,
) -> Dependencies:
    """How the layers are installed.

    `layers` are their packages by their names, `packages` those of the system to build with,
    `direct` is what the layer of that name needs, and `images` what each of several images
    installs, of which this is one. Raises DockerCacheError for a Poetry that does not run on the
    image's Python.
    """
    made = tuple(_layer(name, names, settings, direct) for name, names in layers.items())
    poetry = choose_poetry(project.lock.generator, setting=settings.poetry_version, python=python)
    return Dependencies(
        layers=made,
        compile=settings.compile,
        libc=libc(settings.base_image),
        machines=platforms.machines(settings.platforms),
        index=index,
        groups=selection.groups,
        extras=selection.extras,
        no_binary=project.installer.no_binary,
        only_binary=project.installer.only_binary,
        poetry=poetry if any(layer.from_source for layer in made) else None,
        environment=_installer_environment(project.installer),
        build_config_settings=_json(project.installer.build_config_settings),
        build_image=bases.build,
        packages=packages if any(layer.from_source for layer in made) else (),
        instructions=settings.instructions.build,
        images=images or {},
        reuses_image=settings.reuse_image is not None and bool(made),
        older_lock=project.lock.older_format is not None,
        on_build_image=not bases.has_shell,
    )


def _layer(
    name: str, packages: tuple[str, ...], settings: Settings, direct: Direct | None
) -> Layer:
    return Layer(
        name=name,
        from_source=name in ON_BUILD_IMAGE,
        may_have_libraries=not name.startswith("pure-"),
        packages=packages,
        keeps_wheels=_keeps_wheels(name, settings),
        direct=direct if name == DIRECT else None,
    )


def reuse_notes(settings: Settings, layers: Sequence[str]) -> list[str]:
    """What is told of `download-cache` where it does nothing."""
    if settings.download_cache is None or not layers:
        return []
    if not any(_keeps_wheels(name, settings) for name in layers):
        return ["`download-cache` is not used: Poetry installs all packages, from its own cache."]
    unused = any(name in ON_BUILD_IMAGE for name in layers)
    return ["What is built from source does not use `download-cache`."] * unused


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
