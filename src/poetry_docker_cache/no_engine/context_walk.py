"""Walks a build context as Docker does, by the rules of an ignore file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from poetry_docker_cache.docker.ignore_patterns import hiding_line_inside, matches

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from poetry_docker_cache.docker.ignore_patterns import Line


def visible_paths(context: Path, place: str, lines: Sequence[Line]) -> Iterator[str]:
    """Yield the paths at a place, and below it, that the ignore file does not hide.

    They include folders, and are relative to the context. A hidden folder is only read if a later
    line may include some of its content again. Raises OSError for a folder that cannot be read.
    """
    matched = [False] * len(lines)
    parts = [] if place == "." else place.split("/")
    for end in range(1, len(parts)):
        hiding_line_inside(lines, matched, "/".join(parts[:end]))
    yield from _inside(context, place, lines, matched)


def _inside(context: Path, place: str, lines: Sequence[Line], matched: list[bool]) -> Iterator[str]:
    """Yield the paths in a folder for which these lines matched."""
    path, here = context / place, [*matched]
    hidden = place != "." and hiding_line_inside(lines, here, place) >= 0
    if not hidden:
        yield place
    if path.is_symlink() or not path.is_dir():
        return
    if not hidden or any(line.negated and _may_reach(line.pattern, place) for line in lines):
        for name in sorted(os.listdir(path)):  # noqa: PTH208  # only the names
            yield from _inside(context, name if place == "." else f"{place}/{name}", lines, here)


def _may_reach(pattern: str, folder: str) -> bool:
    """Return whether a pattern may match something in a folder."""
    for part, name in zip(pattern.split("/"), folder.split("/"), strict=False):
        if "**" in part:
            return True
        if not matches(part, name):
            return False
    return True
