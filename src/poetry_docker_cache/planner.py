"""Project + Settings -> ImagePlan: where every decision about the image is made. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from poetry_docker_cache.alpine import tools
from poetry_docker_cache.bases import build_notes, choose_bases, packages_note, usual_packages
from poetry_docker_cache.dependencies import (
    ON_BUILD_IMAGE,
    merged,
    package_layers,
    plan_dependencies,
    planned_target,
    refuse_unknown_packages,
    refuse_weak_hashes,
    reuse_notes,
    source_notes,
)
from poetry_docker_cache.direct import direct_notes, plan_direct
from poetry_docker_cache.images import libc
from poetry_docker_cache.inside.manifest.families import plain_name
from poetry_docker_cache.inside.manifest.layers import DIRECT, SOURCE
from poetry_docker_cache.layers import own_layers_note, refuse_too_many
from poetry_docker_cache.plan import ImagePlan, Index
from poetry_docker_cache.platforms import machines
from poetry_docker_cache.python import choose_python, locked_packages
from poetry_docker_cache.root.kinds import WheelRoot
from poetry_docker_cache.runtime import plan_files, plan_runtime
from poetry_docker_cache.selection import left_out_note
from poetry_docker_cache.sources import refuse_sources
from poetry_docker_cache.wheels import place_in_context, plan_wheels, wheel_sources

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from poetry_docker_cache.inside.manifest.families import Images
    from poetry_docker_cache.plan import Wheel
    from poetry_docker_cache.project import Project
    from poetry_docker_cache.selection import Selection
    from poetry_docker_cache.settings import Settings

_SYNTAX = "docker/dockerfile:1"


def make_plan(  # noqa: PLR0913  # the last three are of several images
    project: Project,
    settings: Settings,
    selection: Selection,
    images: Images | None = None,
    *,
    of_all: Selection | None = None,
    bakes: bool = False,
) -> ImagePlan:
    """The image of this project, or one of several.

    `images` are what each of those that share layers installs, `of_all` is what all of them do,
    which are to have the same Python, and `bakes` is whether they are built in one call. Raises
    DockerCacheError for what cannot be built, or not yet.
    """
    notes: list[str] = []
    of_all = of_all or selection
    python = choose_python(
        project.requires_python,
        setting=settings.python,
        pinned=project.pinned_python,
        lock=project.lock,
        selection=of_all,
        libc=libc(settings.base_image),
        machines=machines(settings.platforms),
    )
    if settings.python is None:
        notes.append(f"Python {python.tag}: {python.reason}.")
    notes += left_out_note(project.default_groups, of_all)
    packages = locked_packages(project.lock, selection, python.short)
    if older := project.lock.older_format:
        notes.append(_older_lock(older))
    refuse_sources(project.sources, packages)
    direct = plan_direct(packages, settings.ssh_known_hosts)
    refuse_unknown_packages(settings.own_layers, project.lock)
    bases = choose_bases(settings, python)
    index = Index(name=project.index.name, url=project.index.url) if project.index else None
    layers = package_layers(project, settings, selection, python, images)
    own = set(map(plain_name, layers))
    refuse_weak_hashes(packages, settings, layers)
    from_source = layers.get(SOURCE, ())
    notes += source_notes(packages, from_source, planned_target(settings, python), bases.build)
    from_no_index = layers.get(DIRECT, ())
    notes += direct_notes(from_no_index, direct, bases.build)
    sources = wheel_sources(project, selection, python)
    refuse_too_many(len(layers), len(sources))
    own |= {source.stage.replace("path-", "own-", 1) for source in sources}
    # The settings that images have in common name packages that only some of them hold.
    all_packages = packages if older else locked_packages(project.lock, of_all, python.short)
    elsewhere = _names(all_packages) - _names(packages)
    notes += own_layers_note([it for it in settings.own_layers if it not in elsewhere], own)
    wheels = {
        name for layer, names in layers.items() if layer not in ON_BUILD_IMAGE for name in names
    }
    notes += reuse_notes(settings, tuple(layers))
    build_packages, runtime_packages = usual_packages((*from_source, *from_no_index), wheels, bases)
    notes += packages_note(runtime_packages, bases)
    files = direct.files if direct else ()
    folder = place_in_context(project, sources, files, notes)
    built = plan_wheels(sources, settings, folder=folder, bases=bases, index=index, notes=notes)
    has_own = isinstance(project.root, WheelRoot)
    application = built[-1] if has_own else None
    compiles = bool(from_source or from_no_index) or any(wheel.compiles for wheel in built)
    notes += build_notes(settings, bases, compiles=compiles)
    version = _version_argument(project, application, notes, bakes=bakes)
    if version:  # the label says what the argument says
        project = replace(project, metadata=replace(project.metadata, version=None))
    return ImagePlan(
        syntax=_SYNTAX if settings.syntax == "auto" else settings.syntax or None,
        folder=folder,
        dependencies=plan_dependencies(
            project,
            settings,
            selection,
            python=python,
            index=index,
            layers=layers,
            bases=bases,
            packages=merged(
                settings.build_packages, (*tools(bases.build, direct), *build_packages)
            ),
            direct=direct,
            images=images,
        ),
        packages=built[:-1] if has_own else built,
        application=application,
        version=version,
        files=plan_files(project, settings, notes),
        runtime=plan_runtime(
            project,
            settings,
            bases=bases,
            python=python,
            packages=merged(settings.runtime_packages, runtime_packages),
            installed={package["name"] for package in packages},
            notes=notes,
        ),
        stage_image=bases.stages,
        traits=bases.traits,
        ignore=settings.ignore,
        dockerignore=project.dockerignore,
        notes=tuple(notes),
    )


def _names(packages: Sequence[Mapping[str, Any]]) -> set[str]:
    return {str(canonicalize_name(package["name"])) for package in packages}


def _older_lock(version: str) -> str:
    return (
        f"poetry.lock has the format {version}, in which only its dependencies tell what is for"
        " this image. `poetry lock` with Poetry 2.1 or newer keeps the versions and writes that"
        " down, which is also sooner for `poetry install`."
    )


def _version_argument(
    project: Project, application: Wheel | None, notes: list[str], *, bakes: bool
) -> str | None:
    """The default of `ARG VERSION`, in an image whose project takes its version from git."""
    if application is None or not application.version_variables:
        return None
    version = project.metadata.version or "0.0.0"
    option = "--set '*.args.VERSION=…'" if bakes else "--build-arg VERSION=…"
    notes.append(
        "The project takes its version from git, which a build does not see: the image says"
        f" {version}, unless `-- {option}` tells it."
    )
    return version
