"""The progress of a build whose last step runs the tests, and then their output."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from poetry_docker_cache.text import harmless

if TYPE_CHECKING:
    from collections.abc import Callable

    from poetry_docker_cache.buildx.build_stream import BuildStep, BuildStream

_STATUS = re.compile(r"exit code: (\d+)")


class _Display(Protocol):
    """Shows the progress of the build."""

    @property
    def stream(self) -> BuildStream: ...

    def read(self, line: str) -> None: ...

    def ask(self, text: str) -> None: ...

    def tick(self) -> None: ...

    def close(self) -> None: ...


def step_of_tests(stream: BuildStream, stage: str) -> BuildStep | None:
    """Return the step that runs the tests; None before BuildKit has reported it."""
    found = (
        step
        for step in stream.steps.values()
        if step.stage == stage and step.instruction.startswith("RUN")
    )
    return next(found, None)


def exit_status(step: BuildStep) -> int | None:
    """Return the status with which the tests failed; None if they did not."""
    match = _STATUS.search(step.error) if step.failed else None
    return int(match[1]) if match else None


@dataclass(kw_only=True)
class DisplayWithTests:
    """Shows the progress of the build, then prints the output of the tests line by line."""

    build: _Display
    stage: str
    """The stage that runs the tests."""
    write: Callable[[str], object]
    """Write text to stdout."""
    _begun: bool = False
    _read: int = 0
    _line: str = ""
    _decoder: codecs.IncrementalDecoder = field(
        default_factory=lambda: codecs.getincrementaldecoder("utf-8")("replace")
    )

    @property
    def stream(self) -> BuildStream:
        """What BuildKit has reported."""
        return self.build.stream

    def read(self, line: str) -> None:
        """Take a line of the client."""
        if self._begun:
            self.stream.read(line)
        else:
            self.build.read(line)
        step = step_of_tests(self.stream, self.stage)
        if step and step.log:
            if not self._begun:
                self.build.close()
                self._begun = True
            self._print(step)

    def ask(self, text: str) -> None:
        """Print a question."""
        self.build.ask(text)

    def tick(self) -> None:
        """Take note that some time has passed: nothing is drawn below the output of the tests."""
        if not self._begun:
            self.build.tick()

    def close(self) -> None:
        """Show the final state."""
        if not self._begun:
            self.build.close()
        elif self._line:
            self.write(f"{harmless(self._line)}\n")

    def _print(self, step: BuildStep) -> None:
        text = self._line + self._decoder.decode(bytes(step.log[self._read :]))
        self._read = len(step.log)
        whole, newline, self._line = text.rpartition("\n")
        if newline:
            self.write(f"{harmless(whole)}\n")
