"""Progress as lines, for logs: one for each part of the image when it has ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from poetry_docker_cache.report.build_rows import Row, State, Subject, rows
from poetry_docker_cache.text import duration, fitting

if TYPE_CHECKING:
    from collections.abc import Callable

    from poetry_docker_cache.buildx.build_stream import BuildStream
    from poetry_docker_cache.report.log_folding import Folding

_WIDTH = 90
_ENDED = '"completed"'
"""What a report of BuildKit has if a step has ended: most reports only have output."""
_SILENCE = 30.0
"""After so many seconds without a line, one says what is still running."""


@dataclass(kw_only=True)
class LineDisplay:
    """Prints a line for each row when it has ended, with the log of its steps folded behind it."""

    stream: BuildStream
    subject: Callable[[], Subject]
    """Describe what is built: takes a moment, so it is done while BuildKit starts."""
    write: Callable[[str], object]
    """Write text to stderr."""
    folding: Folding | None = None
    """How the CI system folds logs; None if it does not."""
    _printed: set[str] = field(default_factory=set)
    _last: float | None = None
    """When the last line was printed; None before the first."""

    def read(self, line: str) -> None:
        """Take a line of the client; print other lines, except the report of a failure."""
        if not self.stream.read(line):
            if not self.stream.report:
                self._line(line)
            return
        subject = self._begun()
        if _ENDED not in line:
            return
        for row in rows(self.stream, subject):
            if row.ended and row.state is not State.CACHED:
                self._print(row)

    def _begun(self) -> Subject:
        """Say what is built, once."""
        subject = self.subject()
        if self._last is None:
            self._line(subject.title)
        return subject

    def ask(self, text: str) -> None:
        """Print a question, and nothing behind it until it is answered."""
        self._begun()
        self.write(text)

    def tick(self) -> None:
        """Say what still runs, after a long silence."""
        subject = self._begun()
        if self.stream.clock() - (self._last or 0.0) < _SILENCE:
            return
        running = [row for row in rows(self.stream, subject) if row.state is State.RUNNING]
        parts = [f"{row.name} ({duration(row.seconds)})" for row in running]
        what = f"still running: {fitting(parts, _WIDTH)}" if parts else "still waiting for BuildKit"
        self._line(what)

    def close(self) -> None:
        """Name the cached layers."""
        cached = [
            row.name
            for row in rows(self.stream, self._begun())
            if row.state is State.CACHED and row.name not in self._printed
        ]
        if cached:
            self._line(f"cached: {fitting(cached, _WIDTH)}")

    def _print(self, row: Row) -> None:
        if row.name in self._printed:
            return
        self._printed.add(row.name)
        text = fitting(row.items, _WIDTH)
        facts = ", ".join(filter(None, (text, row.size, row.time)))
        line = f"{row.name}: {'FAILED' if row.state is State.FAILED else facts}"
        if self.folding and row.log.strip() and row.state is State.DONE:
            self.write(self.folding.fold(line, row.log))
            self._last = self.stream.clock()
        else:
            self._line(line)

    def _line(self, text: str) -> None:
        self.write(f"{text}\n")
        self._last = self.stream.clock()
