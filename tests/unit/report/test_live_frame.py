"""A frame fits the terminal, and says what it leaves out."""

from __future__ import annotations

import pytest

from poetry_docker_cache.report.build_rows import Row, State, Subject
from poetry_docker_cache.report.live_frame import Size, frame

SUBJECT = Subject(title="Building shop:1 on python:3.13-slim")


def many(state: State, count: int, first: int = 1) -> list[Row]:
    """Make layers in the same state."""
    return [
        Row(name=f"pure-{n}", state=state, is_part=True, items=(f"package-{n} 1.0",), seconds=1.0)
        for n in range(first, first + count)
    ]


def shown(found: list[Row], columns: int = 80, lines: int = 24) -> list[str]:
    """Return the frame, which must fit."""
    texts = [line.text for line in frame(found, SUBJECT, Size(columns=columns, lines=lines))]
    assert len(texts) < lines
    assert all(len(text) < columns for text in texts)
    return texts


@pytest.mark.parametrize("columns", [40, 80, 120, 300])
def test_layers_that_do_not_fit_are_counted(columns: int) -> None:
    """Layers that do not fit are counted."""
    texts = shown(many(State.RUNNING, 30), columns)
    assert texts[-1] == "▸ 9 more"
    assert len(texts) == 23


def test_finished_layers_are_folded_first() -> None:
    """What runs is more important."""
    found = [*many(State.DONE, 25), *many(State.RUNNING, 5, 26), *many(State.WAITING, 2, 31)]
    texts = shown(found)
    assert [text[:9] for text in texts[1:6]] == [f"▸ pure-{n}" for n in range(26, 31)]
    assert texts[6].startswith("✓ done     pure-1, pure-2, ")
    assert texts[6].endswith(" more")
    assert texts[7] == "· waiting  pure-31, pure-32"


def test_cached_layers_are_one_line() -> None:
    """Any number of cached layers takes one line."""
    assert len(shown(many(State.CACHED, 30))) == 2
    assert len(shown(many(State.CACHED, 2), lines=5)) == 2


def test_terminal_without_unicode() -> None:
    """All signs have a substitute."""
    found = [
        Row(name="base image", state=State.RUNNING, is_part=False, current=5, total=10),
        Row(name="pure-1", state=State.DONE, is_part=True, items=("rich 1 → 2",)),
        *many(State.WAITING, 1, 2),
        Row(name="pure-3", state=State.FAILED, is_part=True, items=("x" * 99,)),
    ]
    lines = frame(found, SUBJECT, Size(columns=60, lines=24), ascii_only=True)
    text = "\n".join(line.text for line in lines)
    assert text.isascii()
    assert "+ pure-1" in text
    assert "rich 1 -> 2" in text
