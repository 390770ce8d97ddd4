"""The private folder for a build's temporary files, removed when the build ends."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shlex
import shutil
import stat
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.system.folder_locks import lock
from poetry_docker_cache.system.private_files import PRIVATE, create, inside
from poetry_docker_cache.system.signals import handled, leave

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PREFIX = "poetry-docker-cache-"
_OURS = re.compile(rf"{PREFIX}[0-9a-f]{{16}}")
_PRIVATE_FOLDER = 0o700
_FROZEN = 0o555


@dataclass(frozen=True, kw_only=True)
class BuildFolder:
    """A folder that only this user can enter."""

    path: Path

    def write(self, name: str, text: str, mode: int = PRIVATE) -> Path:
        """Create a private file, with its parent folders, and return its path.

        Secrets need a folder of their own: a frontend may read any file beside the Dockerfile.
        """
        path = self.path / name
        try:
            path.parent.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
            create(path, text, mode)
        except OSError as error:
            raise DockerCacheError(
                f"{path} cannot be written: {error.strerror}. Nothing was built.",
                fix="Set TMPDIR to a folder with room for a few kilobytes.",
            ) from error
        return path

    def freeze(self, name: str) -> None:
        """Give a folder and its content the mode that `COPY --chmod=0555` gives the scripts.

        BuildKit's cache keys contain modes.
        """
        top = self.path / name
        if (
            sys.platform != "win32" and top.is_dir()
        ):  # a client on Windows sends the same mode for all files
            for path in (*top.rglob("*"), top):
                path.chmod(_FROZEN)


@contextlib.contextmanager
def build_folder(
    *, context: Path, docker: str = "", bases: Sequence[Path] | None = None
) -> Iterator[BuildFolder]:
    """Make a private folder outside the build context; remove it however the block ends.

    Signals end the block with SystemExit(128 + n). `docker` is the client that will read the
    folder. Raises DockerCacheError if there is no usable place.
    """
    ending = _Ending()
    with handled(ending.receive):
        folder: _Folder | None = None
        try:
            try:
                choice = _bases(docker) if bases is None else bases
                folder = _Folder(_usable(choice, context))
                folder.make()
                yield BuildFolder(path=folder.path)
            finally:
                ending.deferred = True
        finally:
            if folder is not None:
                folder.remove()
    if ending.received:  # while the folder was being removed
        leave(ending.received)


class _Ending:
    """Handles signals: they end the block, unless the folder is being removed."""

    def __init__(self) -> None:
        self.deferred = False
        self.received = 0

    def receive(self, number: int) -> None:
        self.received = self.received or number
        if not self.deferred:
            leave(number)


class _Folder:
    """A folder that is locked while its build runs.

    The name is chosen before the folder exists, so that a signal at any moment finds it removable.
    """

    def __init__(self, base: Path) -> None:
        self.path = base / f"{PREFIX}{secrets.token_hex(8)}"
        self._lock: int | None = None

    def make(self) -> None:
        """Create and lock it; try again if another build removed it before it was locked."""
        while True:
            try:
                self.path.mkdir(mode=_PRIVATE_FOLDER)
            except OSError as error:
                raise DockerCacheError(
                    f"{self.path}, for the build's temporary files, cannot be created: "
                    f"{error.strerror}.",
                    fix="Set TMPDIR to another folder.",
                ) from error
            try:
                self._lock = lock(self.path)
            except BlockingIOError:
                self.path = self.path.with_name(f"{PREFIX}{secrets.token_hex(8)}")
                continue
            except FileNotFoundError:
                continue
            except OSError:  # no locks on this file system: other builds cannot lock it either
                self._lock = None
            return

    def remove(self) -> None:
        """Remove it. Raises DockerCacheError if that fails, since it may contain a password."""
        try:
            _remove_tree(self.path)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise DockerCacheError(
                f"{self.path} could not be removed: {error.strerror}. It may contain credentials.",
                fix=f"Remove it by hand: rm -r {shlex.quote(str(self.path))}",
            ) from error
        finally:
            if self._lock is not None:
                os.close(self._lock)
                self._lock = None


def sweep(bases: Sequence[Path] | None = None) -> None:
    """Remove folders that killed builds of this user have left. Never raises."""
    if sys.platform == "win32":
        return
    for base in _bases(shutil.which("docker") or "") if bases is None else bases:
        with contextlib.suppress(OSError):
            _sweep(base)


def _sweep(base: Path) -> None:
    for folder in base.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            if not _is_ours(folder):
                continue
            held = lock(folder)  # raises for anything but a folder, such as a symlink
            try:
                _remove_tree(folder)
            finally:
                if held is not None:
                    os.close(held)


def _remove_tree(folder: Path) -> None:
    """Remove a folder that may contain frozen ones."""
    for path in folder.rglob("*"):
        if path.is_dir() and not path.is_symlink():
            path.chmod(_PRIVATE_FOLDER)
    shutil.rmtree(folder)


def _is_ours(folder: Path) -> bool:
    """Return whether a build of this user made the folder, which has a name like our repository."""
    status = folder.lstat()
    mine = status.st_uid == os.geteuid() and stat.S_IMODE(status.st_mode) == _PRIVATE_FOLDER
    return mine and bool(_OURS.fullmatch(folder.name))


def _bases(docker: str) -> list[Path]:
    """List candidates for the parent folder, the best first: in memory rather than on disk."""
    names = ["/tmp", "/var/tmp"]  # noqa: S108  # our folder inside is private
    with contextlib.suppress(FileNotFoundError):  # no folder can be written to
        names.insert(0, tempfile.gettempdir())
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR", ""))
    with contextlib.suppress(OSError, AttributeError):  # AttributeError: Windows has no user ids
        if runtime.stat().st_uid == os.geteuid():  # with `sudo -E` it is another user's
            names.insert(0, str(runtime))
    named = os.path.abspath(os.environ.get("TMPDIR", ""))  # noqa: PTH100  # spelt as above
    if named in names:  # usable; errors say to set it, so it comes first
        names.insert(0, named)
    if "/snap/" in docker:  # a client from a snap sees only its own folder
        home = os.path.expanduser("~")  # noqa: PTH111  # Path.home() may raise
        names.insert(0, os.path.join(home, "snap", "docker", "common"))  # noqa: PTH118  # as above
    return [Path(name) for name in dict.fromkeys(names) if Path(name).is_absolute()]


def _usable(bases: Sequence[Path], context: Path) -> Path:
    """Choose the first folder that is writable and outside the build context."""
    for base in bases:
        if base.is_dir() and os.access(base, os.W_OK | os.X_OK) and not inside(base, context):
            return base.resolve()
    raise DockerCacheError(
        f"No writable folder outside the build context {context} found for the build's temporary"
        f" files, which include the secret. Tried: {', '.join(map(str, bases))}.",
        fix="Set TMPDIR to a writable folder outside the project.",
    )
