"""Project + Settings -> ImagePlan: all decisions about an image. Pure.

A function that decides something and has a reason to give returns both: the decision, and the notes
that explain it to the user.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING

from poetry_docker_cache.docker.base_names import libc
from poetry_docker_cache.docker.platforms import machines
from poetry_docker_cache.plan.asset_stages import plan_assets
from poetry_docker_cache.plan.bases import choose_bases
from poetry_docker_cache.plan.contents import plan_contents
from poetry_docker_cache.plan.dependencies import plan_dependencies
from poetry_docker_cache.plan.image_plan import TEST, ImagePlan, Important
from poetry_docker_cache.plan.python_version import choose_python
from poetry_docker_cache.plan.run_steps import plan_steps
from poetry_docker_cache.plan.runtime import plan_files, plan_runtime
from poetry_docker_cache.plan.system_packages import plan_system_packages
from poetry_docker_cache.plan.tool_pins import pin_notes
from poetry_docker_cache.plan.variants import (
    EVERYTHING,
    added_project,
    plan_addition,
    plan_variant,
    split_wheels,
    with_additions,
)
from poetry_docker_cache.plan.wheels import place_in_context, plan_wheels
from poetry_docker_cache.project.selection import left_out_notes
from poetry_docker_cache.text import listing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from poetry_docker_cache.inside.manifest.families import Images
    from poetry_docker_cache.plan.bases import Bases
    from poetry_docker_cache.plan.image_plan import (
        Dependencies,
        Notes,
        RunStep,
        Runtime,
        VariantName,
        Wheel,
    )
    from poetry_docker_cache.plan.python_version import Python
    from poetry_docker_cache.plan.variants import Addition
    from poetry_docker_cache.project.model import Project, Selection
    from poetry_docker_cache.settings.table import Settings

_SYNTAX = "docker/dockerfile:1"


def make_plan(  # noqa: PLR0913  # all inputs of the decisions
    project: Project,
    settings: Settings,
    selection: Selection,
    images: Images | None = None,
    *,
    selected_by_any: Selection | None = None,
    variants: Mapping[VariantName, Selection] = MappingProxyType({}),
) -> ImagePlan:
    """Plan the project's image. Raises DockerCacheError if it cannot be built.

    For one of several images, `images` is what each of them installs, and `selected_by_any`
    what they install together. `variants` are the images for development and tests to plan as
    well, with all that each installs.
    """
    selected_by_any = selected_by_any or selection
    python, python_notes = _plan_python(project, settings, selected_by_any)
    bases = choose_bases(settings, python)
    contents, content_notes = plan_contents(
        project, settings, selection, images, selected_by_any=selected_by_any, bases=bases
    )
    additions = tuple(
        _plan_addition(project, settings, selection, name, wanted, bases)
        for name, wanted in variants.items()
    )
    everything = with_additions(contents, additions)
    system, system_notes = plan_system_packages(settings, contents.layers, bases)
    folder, folder_notes = place_in_context(project, everything, settings.assets)
    all_wheels, wheel_notes = plan_wheels(project, settings, everything, folder, bases)
    wheels, further_wheels = split_wheels(all_wheels, additions)
    version, version_notes = _plan_version(project, wheels)
    files, file_notes = plan_files(project, settings, tested=TEST in variants)
    assets, asset_notes = plan_assets(project, settings, wheels, files=files, folder=folder)
    runtime, runtime_notes = plan_runtime(
        project,
        settings,
        contents,
        version,
        folder=folder,
        files=files,
        bases=bases,
        system=system,
    )
    steps, step_notes = plan_steps(project, settings, bases)
    dependencies = plan_dependencies(
        project,
        settings,
        selection,
        images,
        layers=contents.layers,
        further=everything.layers[len(contents.layers) :],
        bases=bases,
        system=system,
    )
    return ImagePlan(
        syntax=_SYNTAX if settings.syntax == "auto" else settings.syntax or None,
        project=_cache_name(project, settings),
        folder=folder,
        dependencies=dependencies,
        wheels=wheels,
        version=version,
        files=files,
        runtime=runtime,
        steps=steps,
        assets=assets,
        stage_image=bases.stage_image,
        traits=bases.traits,
        ignore=settings.ignore,
        dockerignore=project.dockerignore,
        variants=tuple(
            plan_variant(
                addition,
                project,
                settings,
                selection,
                contents=contents,
                dependencies=dependencies,
                wheels=further_wheels[addition.name],
                files=files,
                runtime=runtime,
                bases=bases,
            )
            for addition in additions
        ),
        notes=(
            *(*python_notes, *content_notes, *system_notes, *folder_notes, *wheel_notes),
            *(*version_notes, *file_notes, *asset_notes, *runtime_notes, *step_notes),
            *(note for addition in additions for note in addition.notes),
            *_emulation_notes(settings, emulated_work(dependencies, wheels, runtime, steps)),
            *(pin_notes(dependencies, wheels) if settings.pinned_tools else ()),
        ),
    )


def _plan_addition(  # noqa: PLR0913, PLR0917  # all inputs of the decision
    project: Project,
    settings: Settings,
    base: Selection,
    name: VariantName,
    wanted: Selection,
    bases: Bases,
) -> Addition:
    """What an image installs besides the base: planned as a project with only these packages."""
    added, own = added_project(project, settings, base, wanted, bases)
    contents, notes = plan_contents(
        added, own, EVERYTHING, None, selected_by_any=EVERYTHING, bases=bases
    )
    return plan_addition(name, wanted, contents, notes)


def emulated_work(
    dependencies: Dependencies,
    wheels: Sequence[Wheel],
    runtime: Runtime,
    steps: Sequence[RunStep],
) -> tuple[str, ...]:
    """Name what runs on each platform of the image. Nothing in a wheel does."""
    runs = {
        "packages that are built from source": any(
            layer.from_source for layer in dependencies.layers
        ),
        "wheels of this project with compiled code": any(wheel.compiles for wheel in wheels),
        "system packages of the final image": bool(runtime.packages),
        "`instructions.runtime`": any(line.startswith("RUN") for line in runtime.instructions),
        "compilation of the standard library": dependencies.compile,
        "the commands of `run`": bool(steps),
    }
    return tuple(what for what, is_run in runs.items() if is_run)


def _emulation_notes(settings: Settings, named: Sequence[str]) -> Notes:
    if not settings.platforms or not named:
        return ()
    return (f"Emulated on platforms that the builder does not have: {listing(named)}.",)


def _cache_name(project: Project, settings: Settings) -> str:
    """The project's name, or its image's, as letters, digits and hyphens."""
    name = project.metadata.name or (settings.image or "project").rpartition("/")[2]
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:32] or "project"


def _plan_python(
    project: Project, settings: Settings, selection: Selection
) -> tuple[Python, Notes]:
    python = choose_python(
        project.requires_python,
        setting=settings.python,
        pinned=project.pinned_python,
        stated=project.stated_pythons,
        lock=project.lock,
        selection=selection,
        libc=libc(settings.base_image),
        machines=machines(settings.platforms),
    )
    pin = "" if project.pinned_python else f' To pin it, set `python = "{python.tag}"`.'
    text = f"Python {python.tag}: {python.reason}.{pin}"
    note = Important(text) if python.lacks_wheels else text
    chosen = () if settings.python else (note,)
    return python, (*chosen, *left_out_notes(project, selection))


def _plan_version(project: Project, wheels: Sequence[Wheel]) -> tuple[str | None, Notes]:
    """The default of `ARG VERSION`; None unless the project takes its version from git."""
    variables = [name for each in wheels if each.is_application for name in each.version_variables]
    if not variables:
        return None, ()
    version = project.metadata.version or "0.0.0"
    note = (
        "The project takes its version from git, which is not available in the build: the image"
        f" gets version {version}, unless you set {' and '.join(variables)}, or the build argument"
        " VERSION."
    )
    return version, (note,)
