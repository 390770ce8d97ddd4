"""The report of a failed build: the end of the failing step's log, and its error."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from poetry_docker_cache.buildx.build_stream import BuildStream
    from poetry_docker_cache.commands.console import Console

_LINES = 20


def report_failure(stream: BuildStream, console: Console) -> None:
    """Print why the build failed; a display has printed what the client said before."""
    step = stream.failure
    if step is None:
        return
    console.message(step.name, title="Failed: ")
    for line in step.text.splitlines()[-_LINES:]:
        console.message(f"  {line}")
    console.message(step.error)
