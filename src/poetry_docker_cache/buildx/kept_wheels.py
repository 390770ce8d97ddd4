"""The folder of `download-cache`: read its wheels, add new ones, remove those no project needs.

Only wheels that a build has added are ever removed: a list in the folder has them and the projects
that need them. The list also marks the folder, because a project's settings may name any folder of
the user: one with other files, or without the list, is refused.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import time
from typing import TYPE_CHECKING

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.inside.install.wheelhouse import NAMED, PLAIN
from poetry_docker_cache.system.folder_locks import waiting

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

LIST = ".poetry-docker-cache"
"""The list of wheels that builds have added, each with a project that needs it; the folder's
marker."""
PARTS = ".poetry-docker-cache-"
"""The prefix of temporary folders for new wheels."""
_HARMLESS = re.compile(r"CACHEDIR\.TAG|\.DS_Store|lost\+found|\.git.*")
"""Entries that the system or the user adds to a folder of caches; they are not sent."""
_DAY = 24 * 60 * 60


def refuse_foreign(folder: Path) -> None:
    """Raise DockerCacheError for a folder that contains more than the wheels of builds."""
    try:
        entries = list(os.scandir(folder))
    except FileNotFoundError:
        return
    except OSError as error:
        raise _refused(folder, f"cannot be read: {error.strerror}") from error
    names = [entry.name for entry in entries if not _HARMLESS.fullmatch(entry.name)]
    foreign = sorted({*names} - {entry.name for entry in entries if _is_ours(entry)})
    if foreign:
        raise _refused(folder, f"contains other files ({foreign[0]}), so it is not sent to a build")
    # Listed before: a running build adds its wheels after the list.
    if any(map(PLAIN.fullmatch, names)) and not (folder / LIST).is_file():
        raise _refused(
            folder,
            "has wheels that no build has put there, so it is not sent to a build",
            f"To use these wheels, mark the folder: touch {shlex.quote(str(folder / LIST))}\n"
            "Or choose a new folder, such as ~/.cache/wheels.",
        )


def _is_ours(entry: os.DirEntry[str]) -> bool:
    """Return whether builds make such entries; links could lead to any file."""
    if entry.name.startswith(PARTS):
        return True
    is_named = entry.name == LIST or PLAIN.fullmatch(entry.name) is not None
    return is_named and entry.is_file(follow_symlinks=False)


def _refused(folder: Path, why: str, fix: str = "") -> DockerCacheError:
    return DockerCacheError(
        f"The folder of `download-cache`, {folder}, {why}.",
        fix=fix or "Choose a new folder for it, such as ~/.cache/wheels.",
    )


def wheels_in(folder: Path) -> list[Path]:
    """List the wheels in the folder. Raises OSError."""
    with os.scandir(folder) as entries:
        return [
            folder / entry.name
            for entry in entries
            if PLAIN.fullmatch(entry.name) and entry.is_file(follow_symlinks=False)
        ]


def link_wheels(folder: Path, target: Path) -> None:
    """Link the wheels, and nothing else, into a new private folder. Raises OSError.

    BuildKit compares size and time of each file, so it does not send a wheel again.
    """
    target.mkdir(mode=0o700, parents=True)
    for path in wheels_in(folder):
        with contextlib.suppress(FileNotFoundError):  # another build has removed it
            try:
                os.link(path, target / path.name)
            except FileNotFoundError:
                raise
            except OSError:  # another file system, one without links, or another user's file
                shutil.copy2(path, target / path.name, follow_symlinks=False)


def keep(arrived: Path, folder: Path, project: str) -> None:
    """Move new wheels into the folder, and remove those that no layer needs any more.

    Each file is moved by a rename, and the list is written before and after, so that the folder is
    valid whenever this is interrupted. Raises OSError.
    """
    _sweep(folder, arrived)
    names = {line for path in arrived.rglob(NAMED) for line in _lines(path)}
    files = [path for path in arrived.rglob("*.whl") if path.name in names]
    with waiting(folder):  # another build may be changing the list
        before = _claims(folder / LIST)
        ours = {wheel for wheel, _ in before} | {path.name for path in files}
        after = {claim for claim in before if claim[1] != project}
        after |= {(wheel, project) for wheel in ours & names}
        if after - before:
            _write(folder / LIST, before | after)
        for path in files:
            path.replace(folder / path.name)
        for wheel in ours - {wheel for wheel, _ in after}:
            (folder / wheel).unlink(missing_ok=True)
        if before - after:
            _write(folder / LIST, after)


def _claims(listing: Path) -> set[tuple[str, str]]:
    """Read the pairs of a wheel and a project that needs it."""
    pairs = (line.partition("\t") for line in _lines(listing))
    return {(wheel, project) for wheel, _, project in pairs if PLAIN.fullmatch(wheel)}


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []


def _write(path: Path, claims: Iterable[tuple[str, str]]) -> None:
    part = path.with_name(f"{path.name}-list-{os.getpid()}")
    lines = (f"{wheel}\t{project}\n" for wheel, project in sorted(claims))
    part.write_text("".join(lines), encoding="utf-8")
    part.replace(path)


def _sweep(folder: Path, arrived: Path) -> None:
    """Remove what killed builds left at least a day ago. Never raises."""
    for path in folder.glob(f"{PARTS}*"):
        with contextlib.suppress(OSError):  # another build has removed it meanwhile
            if path != arrived and path.is_dir() and path.stat().st_mtime < time.time() - _DAY:
                shutil.rmtree(path)
