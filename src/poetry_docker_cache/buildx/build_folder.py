"""The private folder that a build's files live in, gone when the build has ended."""

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
from poetry_docker_cache.system.signals import exit_status, handled

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
        """Create a file, private from the start, and give its path. Folders in `name` are made.

        A secret belongs in another folder than the Dockerfile: a frontend may ask for any file
        beside the Dockerfile.
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
        """Give a folder and all that is in it the mode that its copy has in a Dockerfile.

        BuildKit's cache keys contain modes: see `COPY --chmod=0555` of the scripts.
        """
        top = self.path / name
        if sys.platform != "win32" and top.is_dir():  # a client on Windows sends one mode for all
            for path in (*top.rglob("*"), top):
                path.chmod(_FROZEN)


@contextlib.contextmanager
def build_folder(
    *, context: Path, docker: str = "", bases: Sequence[Path] | None = None
) -> Iterator[BuildFolder]:
    """Give a private folder outside the build context, and remove it however the block ends.

    SIGINT, SIGTERM and SIGHUP end the block with SystemExit(128 + n). What an earlier build left
    behind because it was killed is removed first. `docker` is the client that will read the folder.
    Raises DockerCacheError where no such folder can be had.
    """
    ending = _Ending()
    with handled(ending.receive):
        folder: _Folder | None = None
        try:
            try:
                choice = _bases(docker) if bases is None else bases
                for base in choice:
                    _sweep(base)
                folder = _Folder(_usable(choice, context))
                folder.make()
                yield BuildFolder(path=folder.path)
            finally:
                ending.deferred = True
        finally:
            if folder is not None:
                folder.remove()
    if ending.received:  # while the folder was being removed
        raise SystemExit(exit_status(ending.received))


class _Ending:
    """What a signal does: it ends the block, unless the folder is just being removed."""

    def __init__(self) -> None:
        self.deferred = False
        self.received = 0

    def receive(self, number: int) -> None:
        self.received = self.received or number
        if not self.deferred:
            raise SystemExit(exit_status(number))


class _Folder:
    """A folder whose lock says that its build is alive.

    The name is chosen before the folder exists, so that a signal at any moment finds it removable.
    """

    def __init__(self, base: Path) -> None:
        self.path = base / f"{PREFIX}{secrets.token_hex(8)}"
        self._lock: int | None = None

    def make(self) -> None:
        """Create and lock it, again if another build took the unlocked one for a left-over."""
        while True:
            try:
                self.path.mkdir(mode=_PRIVATE_FOLDER)
            except OSError as error:
                raise DockerCacheError(
                    f"{self.path} cannot be created: {error.strerror}. The build's temporary files "
                    "have nowhere to go.",
                    fix="Set TMPDIR to another folder.",
                ) from error
            try:
                self._lock = lock(self.path)
            except BlockingIOError:
                self.path = self.path.with_name(f"{PREFIX}{secrets.token_hex(8)}")
                continue
            except FileNotFoundError:
                continue
            except (
                OSError
            ):  # no locks here (some network file systems): other builds leave it alone, too
                self._lock = None
            return

    def remove(self) -> None:
        """Remove it; say so where that fails, for it may hold a password."""
        try:
            _remove_tree(self.path)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise DockerCacheError(
                f"{self.path} could not be removed: {error.strerror}. It may hold credentials.",
                fix=f"Remove it by hand: rm -r {shlex.quote(str(self.path))}",
            ) from error
        finally:
            if self._lock is not None:
                os.close(self._lock)
                self._lock = None


def _sweep(base: Path) -> None:
    """Remove what killed builds of this user left behind. Never stops a build."""
    if sys.platform == "win32":
        return
    with contextlib.suppress(OSError):
        for folder in base.glob(f"{PREFIX}*"):
            with contextlib.suppress(OSError):
                if not _is_ours(folder):
                    continue
                held = lock(folder)  # an error for anything but a folder, such as a symlink
                try:
                    _remove_tree(folder)
                finally:
                    if held is not None:
                        os.close(held)


def _remove_tree(folder: Path) -> None:
    """Remove a folder with others in it that are frozen."""
    for path in folder.rglob("*"):
        if path.is_dir() and not path.is_symlink():
            path.chmod(_PRIVATE_FOLDER)
    shutil.rmtree(folder)


def _is_ours(folder: Path) -> bool:
    """Whether a build of this user's made it. A clone of this project's has a name much like it."""
    status = folder.lstat()
    mine = status.st_uid == os.geteuid() and stat.S_IMODE(status.st_mode) == _PRIVATE_FOLDER
    return mine and bool(_OURS.fullmatch(folder.name))


def _bases(docker: str) -> list[Path]:
    """List the folders that may hold ours, the best first: memory rather than disk."""
    names = [tempfile.gettempdir(), "/tmp", "/var/tmp"]  # noqa: S108  # ours in it is private
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR", ""))
    with contextlib.suppress(OSError, AttributeError):  # AttributeError: Windows has no user ids
        if runtime.stat().st_uid == os.geteuid():  # `sudo -E` keeps another user's
            names.insert(0, str(runtime))
    if "/snap/" in docker:  # a snap's client sees neither /tmp nor /run/user, but its own folder
        names.insert(0, str(Path.home() / "snap" / "docker" / "common"))
    return [Path(name) for name in dict.fromkeys(names) if Path(name).is_absolute()]


def _usable(bases: Sequence[Path], context: Path) -> Path:
    """Choose the first folder that is writable and outside the build context."""
    for base in bases:
        if base.is_dir() and os.access(base, os.W_OK | os.X_OK) and not inside(base, context):
            return base.resolve()
    raise DockerCacheError(
        "There is no folder for the build's temporary files (the secret among them): none of "
        f"{', '.join(map(str, bases))} is writable and outside the build context {context}.",
        fix="Set TMPDIR to a writable folder outside the project.",
    )
