"""One frame of the live display, as lines of text. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from poetry_docker_cache.report.build_rows import BASE, Row, State, Subject
from poetry_docker_cache.text import fitting, megabytes

if TYPE_CHECKING:
    from collections.abc import Sequence

_WIDEST = 120
"""Wider lines are hard to read."""
_BAR = 16
_LEAST_TEXT = 20
_MARKS = {
    State.WAITING: "·",
    State.RUNNING: "▸",
    State.DONE: "✓",
    State.CACHED: "=",
    State.FAILED: "✗",
}
_ASCII = str.maketrans({"·": ".", "▸": ">", "✓": "+", "✗": "x", "→": ">", "█": "#", "░": "."})
"""For terminals with another encoding than UTF-8."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line of a frame, shorter than the terminal is wide."""

    text: str
    state: State | None = None
    """The state that its first character shows; None for the title."""


@dataclass(frozen=True, kw_only=True)
class Size:
    """The size of a terminal, in characters."""

    columns: int
    lines: int


def frame(
    found: Sequence[Row], subject: Subject, size: Size, *, ascii_only: bool = False
) -> list[Line]:
    """Return the lines: at most as many as fit, with cached and waiting layers folded."""
    width = min(size.columns, _WIDEST) - 1  # a full line might wrap
    most = max(size.lines - 2, 3)  # the title, and the line of the cursor
    shown = [row for row in found if row.state not in (State.WAITING, State.CACHED)]
    folds = [State.WAITING, State.CACHED]
    if len(shown) + _folded(found, folds) > most:
        shown = [row for row in shown if row.state is not State.DONE or not row.is_part]
        folds.insert(0, State.DONE)
    room = most - _folded(found, folds)
    more = len(shown) - room + 1 if len(shown) > room else 0
    layout = _Layout(width, [*shown, *found])
    lines = [Line(text=subject.title)]
    lines += [Line(text=layout.line(row), state=row.state) for row in shown[: len(shown) - more]]
    if more:
        lines.append(Line(text=f"{_MARKS[State.RUNNING]} {more} more", state=State.RUNNING))
    for state in folds:
        names = [row.name for row in found if row.state is state and row.is_part]
        if names:
            lines.append(Line(text=layout.folded(state, names), state=state))
    return [_cut(line, width, ascii_only=ascii_only) for line in lines]


def _folded(found: Sequence[Row], folds: Sequence[State]) -> int:
    """Return how many lines folded rows take."""
    return sum(any(row.state is state and row.is_part for row in found) for state in folds)


class _Layout:
    """The columns of a frame."""

    def __init__(self, width: int, found: Sequence[Row]) -> None:
        self._width = width
        names = [row.name for row in found] + [State.WAITING.value]
        self._name = max(map(len, names))
        self._size = max((len(row.size) for row in found), default=0)
        self._time = max((len(row.time) for row in found), default=0)

    def line(self, row: Row) -> str:
        """Return the line of a row."""
        start = f"{_MARKS[row.state]} {row.name:{self._name}}  "
        end = f"  {row.size:>{self._size}}  {row.time:>{self._time}}"
        room = self._width - len(start) - len(end)
        if room < _LEAST_TEXT:
            start, end = f"{_MARKS[row.state]} {row.name}  ", f"  {row.time}"
            room = self._width - len(start) - len(end)
        text = fitting(row.items, room)
        if row.total and row.state is State.RUNNING and row.name == BASE:
            text = _with_bar(text, row, room)
        return f"{start}{_shortened(text, room):{max(room, 0)}}{end}"

    def folded(self, state: State, names: Sequence[str]) -> str:
        """Return the line of rows that are in the same state."""
        start = f"{_MARKS[state]} {state.value:{self._name}}  "
        return start + fitting(names, self._width - len(start))


def _with_bar(text: str, row: Row, room: int) -> str:
    number, unit = megabytes(row.current).split()
    total = megabytes(row.total)
    done = f"{number if total.endswith(unit) else f'{number} {unit}'} of {total}"
    full = round(_BAR * row.current / row.total)
    bar = f"{'█' * full}{'░' * (_BAR - full)} {done}"
    return (
        f"{text}  {bar}" if len(text) + 2 + len(bar) <= room else bar if len(bar) <= room else done
    )


def _shortened(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: max(width - 1, 0)]}…"


def _cut(line: Line, width: int, *, ascii_only: bool) -> Line:
    text = _shortened(line.text, width).rstrip()
    if ascii_only:
        text = text.replace("→", "->").translate(_ASCII).replace("…", "~")[:width]
    return Line(text=text, state=line.state)
