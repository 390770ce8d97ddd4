"""Chooses how the progress of a build is shown: by us or by BuildKit."""

from __future__ import annotations

import contextlib
import functools
import os
import shlex
import shutil
import time
from typing import TYPE_CHECKING

from poetry_docker_cache.buildx.build_stream import RAWJSON, BuildStream
from poetry_docker_cache.buildx.command_line import PROGRESS
from poetry_docker_cache.report.build_rows import Subject
from poetry_docker_cache.report.earlier_build import EarlierBuild
from poetry_docker_cache.report.line_display import LineDisplay
from poetry_docker_cache.report.live_display import LiveDisplay, Screen
from poetry_docker_cache.report.live_frame import Size
from poetry_docker_cache.report.log_folding import folding_of
from poetry_docker_cache.report.silent_display import SilentDisplay

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from poetry_docker_cache.buildx.engine_info import EngineInfo
    from poetry_docker_cache.buildx.step_runner import Display
    from poetry_docker_cache.commands.build_report import Report
    from poetry_docker_cache.commands.console import ProgressConsole
    from poetry_docker_cache.plan.image_plan import ImagePlan

_LEAST_COLUMNS = 40
_STDERR = 2


def own_display(
    reports: Sequence[Report],
    engine: EngineInfo,
    console: ProgressConsole,
    environment: Mapping[str, str] | None = None,
) -> Callable[[], Display] | None:
    """Return a function that makes our display; None if BuildKit shows its own progress.

    BuildKit's is chosen by any `--progress`, also after `--`, or by its own variable, and shown
    with a buildx that cannot report its progress to us, or that only prints something.
    """
    environment = os.environ if environment is None else environment
    first = reports[0]
    chosen = first.progress or (environment.get(PROGRESS) and not console.is_quiet)
    if chosen or engine.buildx < RAWJSON or not first.builds:
        return None
    if console.is_quiet:
        return lambda: SilentDisplay(stream=BuildStream(), write=console.progress)
    subject = functools.cache(lambda: _subject(reports))
    if console.is_terminal and environment.get("TERM") != "dumb":
        return lambda: LiveDisplay(
            stream=BuildStream(),
            subject=subject,
            screen=Screen(write=console.progress, size=terminal_size, paint=console.painted),
            ascii_only=not console.has_unicode,
        )
    folding = folding_of(environment, int(time.time()))
    return lambda: LineDisplay(
        stream=BuildStream(), subject=subject, write=console.progress, folding=folding
    )


def terminal_size() -> Size:
    """Return the size of the terminal that stderr is."""
    columns, lines = shutil.get_terminal_size()
    with contextlib.suppress(OSError):  # stdout may be a pipe
        columns, lines = os.get_terminal_size(_STDERR)
    return Size(columns=max(columns, _LEAST_COLUMNS), lines=lines)


def _subject(reports: Sequence[Report]) -> Subject:
    """Describe what is built."""
    plans = [report.image.plan for report in reports]
    names = ", ".join(dict.fromkeys(tag for report in reports for tag in report.request.tags[:1]))
    bases = ", ".join(dict.fromkeys(plan.runtime.image for plan in plans))
    platforms = ", ".join(reports[0].platforms)
    title = f"Building {names or 'the image'}"
    if not reports[0].vendored:
        title += f" on {bases}"
    return Subject(
        title=f"{title} for {platforms}" if platforms else title,
        layers={name: found for report in reports for name, found in report.planned.items()},
        before={
            name: version
            for report in reports
            for name, version in (report.earlier() or EarlierBuild()).versions.items()
        },
        wheels={
            wheel.name: _wheel(report, wheel.is_application, wheel.folder)
            for report in reports
            for wheel in report.image.plan.wheels
        }
        | {stage.name: f"{stage.folder} ({stage.tool})" for plan in plans for stage in plan.assets},
        steps=_steps(plans),
        system=tuple(dict.fromkeys(name for plan in plans for name in plan.runtime.packages)),
    )


def _steps(plans: Sequence[ImagePlan]) -> dict[str, str]:
    """Return the commands of `run` by stage: images may have different ones."""
    commands: dict[str, dict[str, None]] = {}
    for step in (step for plan in plans for step in plan.steps):
        commands.setdefault(step.name, {})[shlex.join(step.command)] = None
    return {name: ", ".join(several) for name, several in commands.items()}


def _wheel(report: Report, is_application: bool, folder: str) -> str:
    image = report.image
    if not is_application:
        return folder
    return " ".join(filter(None, (image.poetry.package.name, image.git_version or image.version)))
