"""The escape sequences that draw the live display."""

from __future__ import annotations

from poetry_docker_cache.report.live_display import Screen
from poetry_docker_cache.report.live_frame import Line, Size


def test_lines_are_replaced_in_one_write() -> None:
    """A narrower terminal has wrapped them, which counts."""
    written: list[str] = []
    sizes = [Size(columns=80, lines=24)]
    screen = Screen(write=written.append, size=lambda: sizes[-1], paint=lambda line: line.text)
    lines = [Line(text="a" * 70), Line(text="b"), Line(text="")]
    screen.draw(lines)
    assert written.pop() == f"\x1b[?2026h{'a' * 70}\x1b[K\nb\x1b[K\n\x1b[K\n\x1b[J\x1b[?2026l"
    screen.draw(lines[1:2], above="WARNING\n")
    assert written.pop() == "\x1b[?2026h\r\x1b[3AWARNING\x1b[K\nb\x1b[K\n\x1b[J\x1b[?2026l"
    screen.draw(lines)
    sizes.append(Size(columns=40, lines=24))
    screen.draw([])
    assert written.pop() == "\x1b[?2026h\r\x1b[4A\x1b[J\x1b[?2026l"
