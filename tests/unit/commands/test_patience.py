"""A line for what takes long."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import pytest

from poetry_docker_cache.commands.patience import saying

if TYPE_CHECKING:
    from poetry_docker_cache.commands.console import ProgressConsole


@dataclass
class Recorder:
    """A console that records what is printed."""

    is_terminal: bool = True
    is_quiet: bool = False
    printed: list[str] = field(default_factory=list)

    def progress(self, text: str) -> None:
        """Record."""
        self.printed.append(text)


def waited(recorder: Recorder, seconds: float) -> list[str]:
    """Wait in the block, and return what was printed."""
    with saying(cast("ProgressConsole", recorder), "Reading", seconds=0.05):
        time.sleep(seconds)
    return recorder.printed


def test_long_wait_is_explained() -> None:
    """The text is erased when it is over."""
    assert waited(Recorder(), 0.3) == ["Reading …", "\r\x1b[K"]


@pytest.mark.parametrize(
    ("recorder", "seconds"),
    [(Recorder(), 0.0), (Recorder(is_terminal=False), 0.1), (Recorder(is_quiet=True), 0.1)],
)
def test_other_waits_are_silent(recorder: Recorder, seconds: float) -> None:
    """Short waits, and waits without a terminal, are not explained."""
    assert waited(recorder, seconds) == []


def test_error_is_printed_on_an_empty_line() -> None:
    """The text is erased before."""
    recorder = Recorder()

    def fails() -> None:
        time.sleep(0.1)
        raise ValueError

    with pytest.raises(ValueError), saying(cast("ProgressConsole", recorder), "a", 0.01):  # noqa: PT011  # it has no text
        fails()
    assert recorder.printed[-1] == "\r\x1b[K"
