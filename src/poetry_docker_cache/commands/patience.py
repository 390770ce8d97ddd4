"""Says on a terminal what a command is waiting for."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from poetry_docker_cache.commands.console import ProgressConsole

_SECONDS = 1.0
_ERASE = "\r\x1b[K"


@contextlib.contextmanager
def saying(console: ProgressConsole, text: str, seconds: float = _SECONDS) -> Iterator[None]:
    """Show a text if the block takes longer than `seconds`, and erase it at the end.

    The block must print nothing. Only a terminal can erase it, so it is not shown elsewhere.
    """
    if not console.is_terminal or console.is_quiet:
        yield
        return
    shown = threading.Event()

    def show() -> None:
        shown.set()
        console.progress(f"{text} …")

    timer = threading.Timer(seconds, show)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        if shown.is_set():
            console.progress(_ERASE)
