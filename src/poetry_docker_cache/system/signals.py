"""Signals that end a command: handling them, and passing them on to a process."""

from __future__ import annotations

import contextlib
import heapq
import os
import queue
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ENDING = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT")
    if hasattr(signal, name)
)
"""Windows has only the first two."""


def exit_status(number: int) -> int:
    """Return the exit status that shells report for a program that this signal ended."""
    return 128 + number


def leave(number: int) -> NoReturn:
    """Handle a signal: leave the program, through all blocks that clean up."""
    raise SystemExit(exit_status(number))


@contextlib.contextmanager
def handled(handler: Callable[[int], None]) -> Iterator[None]:
    """Call `handler` for each signal that ends a program, until the block is left.

    A signal that is ignored stays ignored, as `nohup` requires. Only the main thread can have
    handlers; in another thread this does nothing.
    """
    previous = {}
    try:
        if threading.current_thread() is threading.main_thread():
            for number in ENDING:
                old = signal.getsignal(number)
                # None: not set by Python, which cannot restore it.
                if old is None or old == signal.SIG_IGN:
                    continue
                previous[number] = old
                signal.signal(number, lambda received, _frame: handler(received))
        yield
    finally:
        for number, old in previous.items():
            signal.signal(number, old)


_FORWARD_SECONDS = 0.5
_KILL_SECONDS = 10.0
_END = 0
"""Not a signal: ends the forwarding."""


class Signals:
    """Signals that this program received and forwards to a process.

    A handler can interrupt itself, so it only queues the signal, and a thread does the rest.
    """

    def __init__(self) -> None:
        self.received = 0
        self._queue: queue.SimpleQueue[int] = queue.SimpleQueue()  # its put() may be interrupted

    def receive(self, number: int) -> None:
        """Handle a signal."""
        self.received = self.received or number
        self._queue.put(number)

    @contextlib.contextmanager
    def forwarded(self, process: subprocess.Popen[bytes]) -> Iterator[None]:
        """Forward past and future signals to a process until the block is left."""
        thread = threading.Thread(target=self._forward, args=[process], daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._queue.put(_END)
            thread.join()

    def _forward(self, process: subprocess.Popen[bytes]) -> None:
        """Forward signals, and make sure that the process ends.

        Ctrl-C in a terminal also reaches the process directly, `kill -INT` does not: so SIGINT is
        forwarded only if the process has not ended soon. buildx stops cleanly on the first two
        signals, and immediately on the third (the user's second Ctrl-C).
        """
        if hasattr(signal, "pthread_sigmask"):  # so that they wake the main thread
            signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
        due: list[tuple[float, int]] = []
        while True:
            try:
                wait = max(0.0, due[0][0] - time.monotonic()) if due else None
                number = self._queue.get(timeout=wait)
            except queue.Empty:
                send(process, heapq.heappop(due)[1])
                continue
            if number == _END:
                return
            now = time.monotonic()
            delay = _FORWARD_SECONDS if number == signal.SIGINT else 0.0
            heapq.heappush(due, (now + delay, number))
            heapq.heappush(due, (now + _KILL_SECONDS, getattr(signal, "SIGKILL", number)))


def send(process: subprocess.Popen[Any], number: int) -> None:
    """Send a signal to a process and all its descendants.

    If its output is a terminal, docker 28.5 does not forward SIGTERM to buildx, and the build
    continues to its end.
    """
    below = _descendants(process.pid)
    process.send_signal(number)
    for pid in below:
        with contextlib.suppress(OSError):  # it has ended meanwhile
            os.kill(pid, number)


def _descendants(pid: int) -> list[int]:
    """List the descendants of a process."""
    parents = _parents()
    found = [pid]
    for one in found:
        found.extend(child for child, parent in parents.items() if parent == one)
    return found[1:]


def _parents() -> dict[int, int]:
    """Map each process to its parent; empty if the system does not show that."""
    parents = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):  # it has ended meanwhile
            # pid (name) state parent: the name may contain anything, even brackets
            parents[int(status.parent.name)] = int(status.read_text().rpartition(")")[2].split()[1])
    if not parents and os.name == "posix":  # macOS
        with contextlib.suppress(OSError, subprocess.SubprocessError, ValueError):
            listing = subprocess.check_output(["ps", "-axo", "pid=,ppid="], text=True, timeout=5)
            parents = {int(own): int(up) for own, up in map(str.split, listing.splitlines())}
    return parents
