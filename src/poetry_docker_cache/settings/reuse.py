"""The settings of what a build takes over from earlier ones; see `settings.values`."""

from __future__ import annotations

import os.path
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from poetry_docker_cache.settings.values import line

if TYPE_CHECKING:
    from poetry_docker_cache.settings.errors import Spot


def download_cache(spot: Spot, value: object) -> str:
    """Read the path of a folder of this machine, as it is written but for a `/` at its end."""
    content = line(spot, value)
    why = ""
    if not content or content != content.strip():
        why = "a path is not empty and has no spaces at its ends"
    elif any(c in content for c in "*?[\\") or content.startswith(("!", "#")):
        why = "the ignore file could not name it: it has one of *?[\\ in it, or begins with ! or #"
    elif within(content) == "." or content.rstrip("/") in ("", "~"):
        why = "all of it would be sent to the builder: wheels need a folder of their own"
    if why:
        raise spot.refuse(value, why)
    return content.rstrip("/")


def within(path: str) -> str | None:
    """The same folder relative to the project, if it is written as one inside of it."""
    if path.startswith(("/", "~")) or Path(path).is_absolute():
        return None
    inside = PurePosixPath(os.path.normpath(path)).as_posix()
    return None if inside == ".." or inside.startswith("../") else inside
