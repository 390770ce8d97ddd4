"""Runs the steps of a build in order."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from poetry_docker_cache.buildx import engine
from poetry_docker_cache.buildx.command_line import PROGRESS
from poetry_docker_cache.buildx.engine_info import Answer
from poetry_docker_cache.errors import DockerCacheError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from poetry_docker_cache.buildx.build_stream import BuildStream
    from poetry_docker_cache.buildx.engine import Watch
    from poetry_docker_cache.buildx.steps import Step

_SECONDS = 60 * 60.0
"""The timeout of a command whose output is captured."""
_STDERR = 2
_SIGNALS = 128
"""A higher exit status means that a signal ended the command."""
FAILED = 1
"""buildx's exit status for a failed build; wrong options and signals have others."""
_AGAIN = (
    "The engine removed layers of the old image with this name while it unpacked the new one on"
    " top of them (moby/buildkit#6521). Building again, from the cache."
)


class Run(Protocol):
    """Runs a command on the terminal and returns its exit status."""

    def __call__(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        output: int | None = None,
        watch: Watch | None = None,
    ) -> int:
        """Run the command."""


class Display(Protocol):
    """Shows the progress of a build instead of BuildKit: a `Watch` of its output."""

    @property
    def stream(self) -> BuildStream:
        """What BuildKit has reported."""

    def read(self, line: str) -> None:
        """Take a line of its output."""

    def ask(self, text: str) -> None:
        """Take the start of a line, which is a question."""

    def tick(self) -> None:
        """Take note that some time has passed."""

    def close(self) -> None:
        """Show the final state: nothing more is reported."""


class Ask(Protocol):
    """Runs commands and returns what they print."""

    def __call__(
        self, commands: Sequence[Sequence[str]], *, seconds: float | None = None
    ) -> list[Answer]:
        """Run the commands."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The result of the build."""

    status: int
    seconds: float
    stream: BuildStream | None = None
    """What BuildKit has reported about its steps; None if it showed its progress itself."""


@dataclass(frozen=True, kw_only=True)
class StepRunner:
    """Runs steps; tests replace `run` and `ask`, which start real processes."""

    note: Callable[[str], None]
    write: Callable[[str, str], object]
    """Write a file that a step needs."""
    display: Callable[[], Display] | None = None
    """Make a display of the build's progress; None for BuildKit's own progress."""
    build_output: int | None = None
    """The descriptor for the build's stdout, instead of ours."""
    run: Run = engine.run
    ask: Ask = engine.ask

    def run_all(self, steps: Sequence[Step]) -> Outcome:
        """Run the steps; return the outcome of the step that builds the images.

        If another step fails, a note is printed. Raises DockerCacheError if the build cannot be
        started, and SystemExit if a signal ends another step.
        """
        outcome = Outcome(status=0, seconds=0.0)
        failed: set[str] = set()
        for number, step in enumerate(steps):
            if step.decides:
                outcome = self._build(step)
                if outcome.status:
                    break
            elif step.always:
                self._clean_up([step])
            elif not step.chain or step.chain not in failed:
                try:
                    problem = self._problem(step)
                except BaseException:
                    self._clean_up(later for later in steps[number:] if later.chain == step.chain)
                    raise
                if problem:
                    failed.add(step.chain)
                    self.note(problem)
        return outcome

    def captured(self, step: Step) -> Answer:
        """Run a step and return what it prints; a failure if it cannot be run."""
        try:
            (answer,) = self.ask([step.argv], seconds=_SECONDS)
        except DockerCacheError as error:
            return Answer(status=FAILED, out="", err=error.problem)
        return answer

    def _build(self, step: Step) -> Outcome:
        for path, text in step.needs.items():
            self.write(path, text)
        started = time.monotonic()
        status, stream = self._run_build(step)
        if status == FAILED and stream and stream.lost_a_layer:
            self.note(_AGAIN)
            first = stream
            status, stream = self._run_build(step)
            if stream:
                stream.take_over(first)
        return Outcome(status=status, seconds=time.monotonic() - started, stream=stream)

    def _run_build(self, step: Step) -> tuple[int, BuildStream | None]:
        environment = {**step.environment, **os.environ}
        output = self.build_output
        if self.display is None:
            return self.run(step.argv, env=environment, output=output), None
        display = self.display()
        environment[PROGRESS] = "rawjson"  # `--progress` takes precedence
        try:
            status = self.run(step.argv, env=environment, output=output, watch=display)
        finally:
            display.close()
        return status, display.stream

    def _clean_up(self, steps: Iterable[Step]) -> None:
        for step in steps:
            if step.always:
                self.captured(step)

    def _problem(self, step: Step) -> str:
        """Run a step other than the build; return the note about its failure, or ""."""
        if step.announcement:
            self.note(step.announcement)
        leftover = step.leaves
        try:
            if leftover:
                leftover.prepare()
            failed, why = self._failure(step)
            if not failed and leftover:
                why = leftover.take()
                failed = bool(why)
        except OSError as error:
            failed, why = True, error.strerror or str(error)
        finally:
            if leftover:
                leftover.discard()
        if not failed:
            return ""
        return f"{step.failure}: {why}" if why else f"{step.failure}; the image itself is complete."

    def _failure(self, step: Step) -> tuple[bool, str]:
        """Run a step's command; return whether it failed, and why if its output is not shown."""
        if step.output == "stderr":
            status = self.run(step.argv, output=_STDERR)
            if status > _SIGNALS:
                raise SystemExit(status)
            return bool(status), ""
        answer = self.captured(step)
        if not answer.status:
            return False, ""
        lines = [line.strip() for line in answer.err.splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith("ERROR: ")] or lines[-1:]
        if not errors:
            return True, f"status {answer.status}"
        return True, step.leaves.explain(errors[-1]) if step.leaves else errors[-1]
