"""Project + Settings -> ImagePlan: where every decision about the image is made. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from poetry_docker_cache.docker.base_names import libc
from poetry_docker_cache.docker.platforms import machines
from poetry_docker_cache.plan.bases import (
    build_notes,
    choose_bases,
    merged,
    packages_note,
    usual_packages,
)
from poetry_docker_cache.plan.contents import contents_notes, gather, own_layers_of
from poetry_docker_cache.plan.dependencies import plan_dependencies
from poetry_docker_cache.plan.model import ImagePlan, Index
from poetry_docker_cache.plan.python_version import choose_python
from poetry_docker_cache.plan.runtime import plan_files, plan_runtime
from poetry_docker_cache.plan.system_packages import tools
from poetry_docker_cache.plan.wheels import place_in_context, plan_wheels
from poetry_docker_cache.project.model import WheelRoot
from poetry_docker_cache.project.selection import left_out_note

if TYPE_CHECKING:
    from poetry_docker_cache.inside.manifest.families import Images
    from poetry_docker_cache.plan.bases import Bases
    from poetry_docker_cache.plan.contents import Contents
    from poetry_docker_cache.plan.model import Wheel
    from poetry_docker_cache.plan.python_version import Python
    from poetry_docker_cache.project.model import Project, Selection
    from poetry_docker_cache.settings.table import Settings

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
    python = _choose_python(project, settings, of_all, notes)
    contents = gather(project, settings, selection, images, python)
    bases = choose_bases(settings, python)
    own_layers = own_layers_of(project, settings, contents, of_all, python)
    notes += contents_notes(project, settings, contents, own_layers, bases)
    build_packages, runtime_packages = _system_packages(settings, contents, bases, notes)
    folder, wheels = _wheels(project, settings, contents, bases, notes)
    application = wheels[-1] if isinstance(project.root, WheelRoot) else None
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
            index=_index(project),
            layers=contents.layers,
            bases=bases,
            packages=build_packages,
            direct=contents.direct,
            images=images,
        ),
        packages=tuple(wheel for wheel in wheels if wheel is not application),
        application=application,
        version=version,
        files=plan_files(project, settings, notes),
        runtime=plan_runtime(
            project,
            settings,
            bases=bases,
            python=python,
            packages=runtime_packages,
            installed={package["name"] for package in contents.packages},
            notes=notes,
        ),
        stage_image=bases.stages,
        traits=bases.traits,
        ignore=settings.ignore,
        dockerignore=project.dockerignore,
        notes=tuple(notes),
    )


def _choose_python(
    project: Project, settings: Settings, selection: Selection, notes: list[str]
) -> Python:
    python = choose_python(
        project.requires_python,
        setting=settings.python,
        pinned=project.pinned_python,
        lock=project.lock,
        selection=selection,
        libc=libc(settings.base_image),
        machines=machines(settings.platforms),
    )
    if settings.python is None:
        notes.append(f"Python {python.tag}: {python.reason}.")
    notes += left_out_note(project.default_groups, selection)
    return python


def _system_packages(
    settings: Settings, contents: Contents, bases: Bases, notes: list[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The packages of the system to build with, and those of the final image."""
    build, runtime = usual_packages(contents.built, contents.ready_made, bases)
    notes += packages_note(runtime, bases)
    build = (*tools(bases.build, contents.direct), *build)
    return merged(settings.build_packages, build), merged(settings.runtime_packages, runtime)


def _wheels(
    project: Project, settings: Settings, contents: Contents, bases: Bases, notes: list[str]
) -> tuple[str, tuple[Wheel, ...]]:
    """Where the project lies in the build context, and the wheels that are built from there."""
    sources = contents.sources
    folder = place_in_context(project, sources, contents.files, notes)
    index = _index(project)
    wheels = plan_wheels(sources, settings, folder=folder, bases=bases, index=index, notes=notes)
    compiles = bool(contents.built) or any(wheel.compiles for wheel in wheels)
    notes += build_notes(settings, bases, compiles=compiles)
    return folder, wheels


def _index(project: Project) -> Index | None:
    return Index(name=project.index.name, url=project.index.url) if project.index else None


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
