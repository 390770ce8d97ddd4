"""Paths of a project: POSIX, from its root, and none leaves it that is not asked to."""

from __future__ import annotations

import os
import posixpath
from pathlib import Path
from typing import TYPE_CHECKING

from poetry_docker_cache.compat import real_path
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.ignore.names import is_kept_out
from poetry_docker_cache.ignore.rules import outermost

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class OutsideError(Exception):
    """A path leaves the project."""


def static_part(pattern: str) -> str:
    """Give the part of a glob that is a plain path."""
    parts = posixpath.normpath(pattern).split("/")
    plain = [index for index, part in enumerate(parts) if set(part) & set("*?[")]
    return "/".join(parts[: plain[0]] if plain else parts) or "."


def relative(root: Path, path: Path) -> str:
    """Write a path as seen from a folder."""
    return Path(os.path.relpath(path, root)).as_posix()


def is_here(folder: Path, path: str) -> bool:
    """Tell whether a path is inside the project, links followed."""
    name = posixpath.normpath(path)
    inside = not name.startswith(("..", "/"))
    place = real_path(folder / name)
    return inside and place.is_relative_to(real_path(folder))


def leaves(path: str) -> bool:
    """Tell whether a path, as it is written, leads out of the project."""
    return posixpath.normpath(path).split("/")[0] == ".."


def copied(folder: Path, paths: Iterable[str]) -> tuple[str, ...]:
    """Take the paths that are there; refuse what no build context of this folder can hold."""
    names = {str(posixpath.normpath(path)) for path in paths} - {
        ".",
        "pyproject.toml",
        "poetry.lock",
    }
    for name in sorted(names):
        if not is_here(folder, name):
            raise OutsideError(f"`{name}` is outside of the project")
    found = {name for name in names if (folder / name).exists()}
    for name in sorted(found):
        found.update(_link_targets(folder, name))
    return outermost(found - {"."})


def copied_from_above(folder: Path, paths: Iterable[str]) -> tuple[str, ...]:
    """Take paths that leave the project, for a build context that holds more than it."""
    found: list[str] = []
    for path in map(posixpath.normpath, paths):
        place, name = posixpath.split(path)
        base = Path(os.path.normpath(folder / place))
        if name == ".." or base.resolve() != base:  # all that is beside it, or behind a link
            raise OutsideError(f"`{path}` is outside of the project")
        found += [posixpath.join(place, it) for it in copied(base, [name])]
    return outermost(found)


def _link_targets(folder: Path, name: str) -> Iterator[str]:
    """A copied link needs what it points to."""
    top = folder / name
    places = [top]
    for here, folders, files in os.walk(top):
        folders[:] = sorted(it for it in folders if not is_kept_out(it))
        places += [Path(here, it) for it in (*folders, *sorted(files))]
    for place in places:
        if place.is_symlink():
            link = relative(folder, place)
            if not is_here(folder, link):
                raise DockerCacheError(
                    f"{link} is a link that leaves the project: a build does not see what it"
                    " points to, so the package would lack it.",
                    fix="Copy what it points to into the project, or take the link away.",
                )
            if place.exists():
                yield relative(folder.resolve(), place.resolve())


def is_file(path: Path) -> bool:
    """Tell whether a path is a file; `Path.is_file` raises where this user may not look.

    Databases that run in containers leave such folders in a project.
    """
    return os.path.isfile(path)  # noqa: PTH113  # as above


def text_of(path: Path) -> str:
    """Give the text of a source file; none, where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def folders(folder: Path, paths: Iterable[str]) -> tuple[str, ...]:
    """Give those that are folders."""
    return tuple(path for path in paths if (folder / path).is_dir())
