"""Runs work in threads that may not outlast a deadline."""

from __future__ import annotations

import queue
import threading
import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_Result = TypeVar("_Result")


class Background:
    """Work that waits for servers; all of it shares one deadline.

    Its threads cannot be interrupted, and end with the program at the latest.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._end = clock() + seconds

    @property
    def left(self) -> float:
        """How many seconds are left, at least a small part of one."""
        return max(self._end - self._clock(), 0.01)

    def start(self, work: Callable[[], _Result]) -> Callable[[], _Result]:
        """Start the work; return a function that waits for its result.

        The function raises what the work raises, and TimeoutError after the deadline.
        """
        results: queue.SimpleQueue[tuple[Exception | None, _Result | None]] = queue.SimpleQueue()

        def run() -> None:
            try:
                results.put((None, work()))
            except Exception as error:  # noqa: BLE001  # raised again where it is waited for
                results.put((error, None))

        def wait() -> _Result:
            try:
                error, result = results.get(timeout=self.left)
            except queue.Empty:
                raise TimeoutError from None
            results.put((error, result))  # for the next one that waits
            if error is not None:
                raise error
            return result  # type: ignore[return-value]  # without an error, it is the result

        threading.Thread(target=run, daemon=True).start()
        return wait
