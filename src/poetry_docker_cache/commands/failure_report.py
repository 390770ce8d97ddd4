"""The end of a failed build: the last lines of the failed step, and the error with its cause."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from poetry_docker_cache.buildx.build_failure import of_history, of_stream
from poetry_docker_cache.buildx.step_runner import FAILED
from poetry_docker_cache.docker.image_names import normalised
from poetry_docker_cache.plan.python_version import PYTHONS
from poetry_docker_cache.project.reader import python_constraint
from poetry_docker_cache.report.diagnosis import Known, diagnose, last_lines, named_step
from poetry_docker_cache.settings.table import Settings
from poetry_docker_cache.system.signals import ENDING, exit_status

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from poetry_docker_cache.buildx.build_failure import Failure
    from poetry_docker_cache.buildx.cache_plan import CachePlan
    from poetry_docker_cache.buildx.pipeline import Build
    from poetry_docker_cache.buildx.step_runner import Outcome
    from poetry_docker_cache.commands.console import Console
    from poetry_docker_cache.commands.planned_image import PlannedImage

_PYTHON = re.compile(r"\d+\.\d+(\.\d+)?")


def refuse(  # noqa: PLR0913  # all that identifies a build
    outcome: Outcome,
    build: Build,
    images: Sequence[PlannedImage],
    *,
    dockerfile: str | None,
    folder: str,
    console: Console,
) -> None:
    """Raise BuildError with the cause of a failed build, after the end of the failed step's log.

    `dockerfile` is the user's own; `folder` has the files of the build. Without a known failure,
    such as after a signal, BuildKit's message stays the last.
    """
    if failure := _failure(outcome, build, dockerfile, folder):
        known = _known_facts(images, [image.caches for image in build.images], dockerfile)
        if outcome.stream:
            _print_end(failure, known, console)
        raise diagnose(failure, known, outcome.status)


def _failure(outcome: Outcome, build: Build, dockerfile: str | None, folder: str) -> Failure | None:
    """Return the failure; if BuildKit has shown its progress itself, it is in its history.

    A Dockerfile of the user does not identify the build there, and BuildKit has shown its lines.
    """
    if outcome.stream:
        signalled = outcome.status in map(exit_status, ENDING)
        return None if signalled else of_stream(outcome.stream)
    if outcome.status != FAILED or dockerfile:
        return None
    return of_history(build.docker, build.engine.builder, folder)


def _print_end(failure: Failure, known: Known, console: Console) -> None:
    """Print the last lines of the failed step, or of the user's own Dockerfile."""
    # The lines of a generated Dockerfile have numbers of a file that the user does not have.
    excerpt = failure.excerpt.splitlines() if known.dockerfile else ()
    if lines := [*last_lines(failure.output), *excerpt]:
        console.message(named_step(failure.step), title="Failed: ")
    for line in lines:
        console.message(f"  {line}".rstrip())


def _known_facts(
    images: Sequence[PlannedImage], caches: Sequence[CachePlan], dockerfile: str | None
) -> Known:
    """Collect what a diagnosis may name; `dockerfile` is the user's own."""
    read = tuple(str(cache) for plan in caches for cache in plan.imports)
    if dockerfile:
        name = "the Dockerfile" if dockerfile == "-" else dockerfile
        return Known(caches=read, dockerfile=name)
    plans = [image.plan for image in images]
    return Known(
        caches=read,
        images=dict(fix for image in reversed(images) for fix in _base_fixes(image)),
        instructions=tuple(
            line
            for plan in plans
            for line in (*plan.dependencies.instructions, *plan.runtime.instructions)
        ),
    )


def _base_fixes(image: PlannedImage) -> Iterator[tuple[str, str]]:
    """Yield each base image, and the lines of the settings that choose it."""
    settings, runtime = image.settings, image.plan.runtime.image
    table = f"[tool.poetry-docker-cache{image.image and f'.images.{image.image}'}]"
    if settings.base_image == Settings().base_image:
        base = _other_python(image, table)
    else:
        base = f'Correct it in {table}:\nbase-image = "{settings.base_image}"'
        if settings.python and "{python}" in settings.base_image:
            base += f'\npython = "{settings.python}"'
    build = base
    if settings.build_image:
        build = f'Correct it in {table}:\nbuild-image = "{settings.build_image}"'
    yield normalised(image.plan.dependencies.build_image), build
    yield normalised(runtime), base


def _other_python(image: PlannedImage, table: str) -> str:
    """Return what to set: the nearest other version that the project allows, if there is one."""
    constraint = python_constraint(image.poetry.package.python_versions)
    newest_first = [tag for minor in PYTHONS if (tag := constraint.image_tag(minor))]
    found = _PYTHON.search(image.plan.runtime.image)
    used = found[0] if found else PYTHONS[0]
    older = [tag for tag in newest_first if _minor(tag) <= _minor(used)]
    newer = [tag for tag in reversed(newest_first) if tag not in older]
    tag = next((tag for tag in (*older, *newer) if tag != used), None)
    if tag is None:
        return f"Set another `base-image` in {table}: the project allows no other Python."
    return f'Set another Python in {table}, for example:\npython = "{tag}"'


def _minor(tag: str) -> list[int]:
    """Return the minor version as numbers: [3, 12] for "3.12.4"."""
    return [int(part) for part in tag.split(".")[:2]]
