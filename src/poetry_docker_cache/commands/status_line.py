"""Says what a build without an engine is doing: one line on a terminal, lines in a log."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING

from poetry_docker_cache.commands.build_display import terminal_size
from poetry_docker_cache.text import megabytes, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from typing_extensions import Self

    from poetry_docker_cache.commands.console import ProgressConsole

_ERASE = "\r\x1b[K"
_INTERVAL = 0.2
_PATIENCE = 1.0
"""What takes less time is not shown."""
_SILENCE = 30.0
"""After so many seconds without a line, a log gets one."""


class Traffic:
    """Bytes that are received or sent; several threads report them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._files: dict[str, dict[str, tuple[int, int]]] = {}

    def count(self, action: str, file: str, done: int, total: int | None) -> None:
        """Take how much of a file has arrived, or was sent."""
        with self._lock:
            self._files.setdefault(action, {})[file] = (done, total or 0)

    def texts(self) -> list[str]:
        """Return what is under way, such as `downloading wheels, 1.2 MB of 3.4 MB`."""
        found = []
        with self._lock:
            for action, files in self._files.items():
                if all(done >= total for done, total in files.values()):
                    files.clear()
                    continue
                done, total = map(sum, zip(*files.values(), strict=True))
                found.append(f"{action}, {megabytes(done)} of {megabytes(total)}")
        return found


class StatusLine:
    """A line on a terminal that is drawn again as it changes; in a log, a line now and then."""

    def __init__(
        self,
        console: ProgressConsole,
        *,
        live: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.traffic = Traffic()
        self._console, self._live, self._clock = console, live and console.is_terminal, clock
        self._lock = threading.RLock()
        self._stopped = threading.Event()
        self._text: Callable[[], str] | None = None
        self._since = self._last = clock()
        self._is_shown = False
        self._thread = threading.Thread(target=self._run, name="status", daemon=True)

    def __enter__(self) -> Self:
        """Begin to draw."""
        if not self._console.is_quiet:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Erase the line."""
        self._stopped.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._erase()

    @contextlib.contextmanager
    def saying(self, text: str | Callable[[], str]) -> Iterator[None]:
        """Show a text while the block runs, which prints only by this object's methods."""
        with self._lock:
            self._text = text if callable(text) else lambda: text
            self._since = self._clock()
        try:
            yield
        finally:
            with self._lock:
                self._text = None
                self._erase()

    def message(self, text: str) -> None:
        """Print a line that stays."""
        with self._lock:
            self._erase()
            self._console.message(text)
            self._last = self._clock()

    def note(self, text: str) -> None:
        """Print a note that stays."""
        with self._lock:
            self._erase()
            self._console.note(text)

    def tick(self) -> None:
        """Draw the line if there is one, and it is time to."""
        with self._lock:
            if self._text is None:
                return
            now = self._clock()
            if self._live:
                if now - self._since >= _PATIENCE:
                    text = printable("; ".join(self._parts()))
                    text = text[:1].upper() + text[1:]
                    width = terminal_size().columns - 1
                    self._console.progress(f"\r{text[:width]}\x1b[K")
                    self._is_shown = True
            elif now - max(self._since, self._last) >= _SILENCE:
                self.message(f"still {'; '.join(self._parts())}")

    def _parts(self) -> list[str]:
        """Return what is shown: the bytes first, since a narrow terminal cuts the rest."""
        text = self._text() if self._text else ""
        return [*self.traffic.texts(), text[:1].lower() + text[1:]]

    def _erase(self) -> None:
        if self._is_shown:
            self._console.progress(_ERASE)
            self._is_shown = False

    def _run(self) -> None:
        while not self._stopped.wait(_INTERVAL):
            self.tick()
