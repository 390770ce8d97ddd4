"""Files that only their owner can read, and whether they are inside the build context."""

from __future__ import annotations

import contextlib
import os
import secrets
import shlex
from typing import TYPE_CHECKING

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.system.full_disks import suggest_space

if TYPE_CHECKING:
    from pathlib import Path

PRIVATE = 0o600


def create(path: Path, text: str, mode: int = PRIVATE) -> None:
    """Create a file with its mode; an existing one, or a symlink, is an error."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    with open(os.open(path, flags, mode), "wb") as file:  # noqa: PTH123  # a descriptor
        file.write(text.encode())


def put(path: Path, text: str, mode: int = PRIVATE) -> None:
    """Replace a file; it is never half written. Raises OSError."""
    draft = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        create(draft, text, mode)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read from its creation on, or replace it.

    The target of a symlink is replaced. Raises DockerCacheError if the file cannot be written.
    """
    try:
        target = path.resolve()
        # Since Python 3.13, resolve() stops at a loop of symlinks instead of raising.
        if target.is_symlink() or (target.exists() and not target.is_file()):
            raise DockerCacheError(
                f"{path} is not a regular file, so the secret cannot be written.",
                fix="Choose another path.",
            )
        if not target.parent.is_dir():
            raise DockerCacheError(
                f"{path} cannot be written: the folder {target.parent} does not exist.",
                fix=f"Create it (mkdir -p {shlex.quote(str(target.parent))}), or choose another"
                " path.",
            )
        put(target, text)
    except RuntimeError as error:  # a loop of symlinks, before Python 3.13
        raise DockerCacheError(
            f"{path} cannot be written: {error}.", fix="Choose a path that you may write to."
        ) from error
    except OSError as error:
        raise DockerCacheError(
            f"{path} cannot be written: {error.strerror}.",
            fix=suggest_space(error, "Choose a path that you may write to."),
        ) from error


def inside(path: Path, context: Path) -> bool:
    """Return whether a path is in a folder, whatever its symlinks and letter case."""
    resolved, folder = path.resolve(), context.resolve()
    if resolved.is_relative_to(folder):
        return True
    for parent in (resolved, *resolved.parents):
        with contextlib.suppress(OSError):  # it does not exist yet
            if parent.samefile(folder):
                return True
    return False


def refuse_inside(path: Path, context: Path) -> None:
    """Raise DockerCacheError for a secret in the build context."""
    try:
        refused = inside(path, context)
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of symlinks
        raise DockerCacheError(
            f"{path} cannot be written: {error}.", fix="Choose a path that you may write to."
        ) from error
    if refused:
        raise DockerCacheError(
            f"{path} is inside the build context {context}, so the secret could get into an image."
            " Nothing was written.",
            fix=f"Choose a path outside {context} for --auth-file.",
        )
