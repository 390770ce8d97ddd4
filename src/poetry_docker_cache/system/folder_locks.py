"""Locks on folders, which the kernel releases when their holder dies."""

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
    """Lock a folder while the returned descriptor is open; return None on Windows.

    Raises BlockingIOError if another process has the lock, FileNotFoundError if the folder was
    removed meanwhile, and another OSError if the file system has no locks.
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
    """Wait for a folder's lock and hold it; do nothing on Windows."""
    if sys.platform == "win32":
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with contextlib.suppress(OSError):  # some network file systems have no locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
