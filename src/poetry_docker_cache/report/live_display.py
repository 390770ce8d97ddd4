"""Progress on a terminal: a view of the build that is drawn again as it changes.

cleo, a dependency of Poetry, has sections that can be overwritten. But they flicker, because it
erases them before it draws, and it counts their lines at the width that the terminal had at first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from poetry_docker_cache.report.build_rows import Subject, rows
from poetry_docker_cache.report.live_frame import Line, Size, frame

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from poetry_docker_cache.buildx.build_stream import BuildStream

_INTERVAL = 0.1
_BEGIN, _END = "\x1b[?2026h", "\x1b[?2026l"
"""Synchronized update: a terminal that supports it draws the text at once; others ignore it."""
_ERASE_LINE, _ERASE_BELOW = "\x1b[K", "\x1b[J"


@dataclass(kw_only=True)
class Screen:
    """Draws lines over those that it has drawn before.

    The cursor is never hidden, and is always below the lines, so the terminal stays usable however
    the program ends.
    """

    write: Callable[[str], object]
    size: Callable[[], Size]
    paint: Callable[[Line], str]
    """Colour a line."""
    _drawn: list[int] = field(default_factory=list)
    """The lengths of the lines on the screen."""

    def draw(self, lines: Sequence[Line], above: str = "") -> None:
        """Replace the lines, in one go; print text above them that stays."""
        text = "".join(f"{self.paint(line)}{_ERASE_LINE}\n" for line in lines)
        kept = above.replace("\n", f"{_ERASE_LINE}\n")
        self.write(f"{_BEGIN}{self._up()}{kept}{text}{_ERASE_BELOW}{_END}")
        self._drawn = [len(line.text) for line in lines]

    def _up(self) -> str:
        """Return to the first line: a terminal that has become narrower has wrapped them."""
        columns = max(self.size().columns, 1)
        up = sum(max(1, math.ceil(length / columns)) for length in self._drawn)
        return f"\r\x1b[{up}A" if up else ""


@dataclass(kw_only=True)
class LiveDisplay:
    """Draws the rows of a build, at most ten times a second."""

    stream: BuildStream
    subject: Callable[[], Subject]
    """Describe what is built: takes a moment, so it is done while BuildKit starts."""
    screen: Screen
    ascii_only: bool = False
    _next: float = 0.0

    def read(self, line: str) -> None:
        """Take a line of the client; print others above the view, but no report of a failure."""
        if not self.stream.read(line) and not self.stream.report:
            self._draw(above=f"{line}\n")

    def ask(self, text: str) -> None:
        """Print a question in place of the view."""
        self.screen.draw([], above=text)

    def tick(self) -> None:
        """Draw the view, unless it was drawn just now."""
        if self.stream.steps and self.stream.clock() >= self._next:
            self._draw()

    def close(self) -> None:
        """Draw the final view, which stays."""
        self._draw()

    def _draw(self, above: str = "") -> None:
        found = rows(self.stream, self.subject())
        size = self.screen.size()
        self.screen.draw(frame(found, self.subject(), size, ascii_only=self.ascii_only), above)
        self._next = self.stream.clock() + _INTERVAL
