"""The signals that end a build, and handlers for them that are put back afterwards."""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ENDING = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT")
    if hasattr(signal, name)
)
"""Windows has only the first two."""


def exit_status(number: int) -> int:
    """Give the status with which shells report a program that this signal ended."""
    return 128 + number


@contextlib.contextmanager
def handled(handler: Callable[[int], None]) -> Iterator[None]:
    """Call `handler` for each signal that ends a program, until the block is left.

    A signal that is ignored stays ignored: that is what `nohup` asks for. Only the main thread can
    have handlers; in any other this does nothing.
    """
    previous = {}
    try:
        if threading.current_thread() is threading.main_thread():
            for number in ENDING:
                old = signal.getsignal(number)
                if old is None or old == signal.SIG_IGN:  # None: not Python's to put back
                    continue
                previous[number] = old
                signal.signal(number, lambda received, _frame: handler(received))
        yield
    finally:
        for number, old in previous.items():
            signal.signal(number, old)
