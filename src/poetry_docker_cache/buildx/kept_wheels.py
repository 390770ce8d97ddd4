"""The folder of `download-cache`: add new wheels, and remove those that no project needs.

Only wheels that a build has added are ever removed: a list in the folder has them and the projects
that need them.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from typing import TYPE_CHECKING

from poetry_docker_cache.inside.install.wheelhouse import NAMED, PLAIN
from poetry_docker_cache.system.folder_locks import waiting

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

LIST = ".poetry-docker-cache"
"""The list of wheels that builds have added, each with a project that needs it."""
PARTS = ".poetry-docker-cache-"
"""The prefix of temporary folders for new wheels."""
_DAY = 24 * 60 * 60


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
