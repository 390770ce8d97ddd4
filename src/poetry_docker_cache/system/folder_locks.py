"""Locks on folders, which the kernel lets go of when their holder dies."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

if sys.platform != "win32":
    import fcntl


def lock(folder: Path) -> int | None:
    """Lock a folder for as long as the descriptor is open; None where there are no locks.

    Raises BlockingIOError where another process holds it, FileNotFoundError where the folder is
    gone by the time that it is ours, another OSError where the file system has no locks.
    """
    if sys.platform == "win32":
        return None
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    with contextlib.ExitStack() as otherwise:
        otherwise.callback(os.close, descriptor)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(descriptor), folder.lstat()):
            otherwise.pop_all()
            return descriptor
    raise FileNotFoundError(folder)


@contextlib.contextmanager
def waiting(folder: Path) -> Iterator[None]:
    """Hold a folder's lock, after whoever else has it; nothing where there are no locks."""
    if sys.platform == "win32":
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with contextlib.suppress(OSError):  # some network file systems have none
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
