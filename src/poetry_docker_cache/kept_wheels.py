"""The folder of `download-cache`: what a build gives back is added, what it does not need goes.

Only files that a build has put there are ever removed: a list beside them tells which.
"""

from __future__ import annotations

import os
import shutil
import time
from typing import TYPE_CHECKING

from poetry_docker_cache.inside.install.wheelhouse import NAMED, PLAIN

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

LIST = ".poetry-docker-cache"
"""The names of the wheels that builds have put into the folder."""
PARTS = ".poetry-docker-cache-"
"""How a folder for what is just arriving begins."""
_DAY = 24 * 60 * 60


def keep(arrived: Path, folder: Path) -> None:
    """Move what arrived in a folder inside of this one; remove wheels that no layer names any more.

    Each file is moved at once, and the list is written before and after: whenever this ends, the
    folder is good. Raises OSError.
    """
    _sweep(folder, arrived)
    listing = folder / LIST
    names = {line for path in arrived.rglob(NAMED) for line in _lines(path)}
    ours = {line for line in _lines(listing) if PLAIN.fullmatch(line)}
    files = [path for path in arrived.rglob("*.whl") if path.name in names]
    added = {path.name for path in files}
    if added - ours:
        _write(listing, ours | added)
    for path in files:
        path.replace(folder / path.name)
    for name in ours - names:
        (folder / name).unlink(missing_ok=True)
    if added - ours or ours - names:
        _write(listing, (ours | added) & names)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []


def _write(path: Path, names: Iterable[str]) -> None:
    part = path.with_name(f"{path.name}-list-{os.getpid()}")
    part.write_text("".join(f"{name}\n" for name in sorted(names)), encoding="utf-8")
    part.replace(path)


def _sweep(folder: Path, arrived: Path) -> None:
    """Remove what a killed build left behind a day ago or longer."""
    for path in folder.glob(f"{PARTS}*"):
        if path != arrived and path.is_dir() and path.stat().st_mtime < time.time() - _DAY:
            shutil.rmtree(path)
