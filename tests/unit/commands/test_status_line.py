"""A line for what takes long: on a terminal one that changes, in a log one now and then."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from poetry_docker_cache.commands.status_line import StatusLine, Traffic

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

    def message(self, text: str) -> None:
        """Record."""
        self.printed.append(text)

    note = message


def status_line(recorder: Recorder, times: list[float], *, live: bool = True) -> StatusLine:
    """Return a status line that is not drawn by itself; the last time is now."""
    console = cast("ProgressConsole", recorder)
    return StatusLine(console, live=live, clock=lambda: times[-1])


def test_terminal_shows_bytes_and_keeps_messages() -> None:
    """The line is erased before a message, and at the end."""
    recorder, times = Recorder(), [0.0]
    status = status_line(recorder, times)
    with status.saying("Making a"):
        status.tick()
        assert not recorder.printed
        times.append(1.5)
        status.traffic.count("downloading wheels", "a.whl", 1_000_000, 3_000_000)
        status.tick()
        status.message("b is ready")
        status.tick()
    shown = "\rDownloading wheels, 1.0 MB of 3.0 MB; making a\x1b[K"
    assert recorder.printed == [shown, "\r\x1b[K", "b is ready", shown, "\r\x1b[K"]


def test_log_gets_a_line_after_long_silence() -> None:
    """As does a terminal with `--progress plain`; no control characters get into it."""
    for recorder, live in ((Recorder(is_terminal=False), True), (Recorder(), False)):
        times = [0.0]
        status = status_line(recorder, times, live=live)
        with status.saying("Pushing a"):
            for seconds in (5.0, 31.0, 40.0, 62.0):
                times.append(seconds)
                status.tick()
        assert recorder.printed == ["still pushing a"] * 2


def test_what_has_ended_is_not_shown() -> None:
    """The next files of the same kind are counted anew."""
    traffic = Traffic()
    traffic.count("uploading layers", "a", 500_000, 500_000)
    assert traffic.texts() == []
    traffic.count("uploading layers", "b", 100_000, 400_000)
    assert traffic.texts() == ["uploading layers, 0.1 MB of 0.4 MB"]


def test_quiet_build_draws_nothing() -> None:
    """Nor is a thread left."""
    recorder = Recorder(is_quiet=True)
    with status_line(recorder, [0.0]) as status, status.saying("Making a"):
        pass
    assert recorder.printed == []
