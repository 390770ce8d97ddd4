"""Paths of a build context that BuildKit cannot send as they are.

BuildKit silently sends an unreadable file as an empty one, and fails for an unreadable folder or a
name that is not valid UTF-8. It sends a link unchanged, without a target outside the context.
"""

from __future__ import annotations

import contextlib
import glob
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from poetry_docker_cache.docker.ignore_patterns import hiding_line, parse
from poetry_docker_cache.docker.kept_out import is_kept_out
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.system.compat import is_folder, real_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_NOT_UTF_8 = re.compile(r"[\ud800-\udfff]")
"""How Python represents bytes that are not valid UTF-8."""
_ANY_NAME = "\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True, kw_only=True)
class ProblemPath:
    """A path in the context that BuildKit cannot send as it is."""

    path: str
    kind: Literal["unreadable", "name", "link"]
    """The user may not read it, its name is not valid UTF-8, or it is a link that leaves the
    context."""


def matching_files(
    folder: Path, names: Sequence[str] | None, dockerignore: str | None
) -> tuple[str, ...] | None:
    """Replace the patterns among these names by the paths that match them.

    Paths that `.dockerignore` excludes do not match, nor do those that are never sent unless they
    are named. Raises DockerCacheError for a pattern without a match.
    """
    if names is None:
        return None
    lines = [parse(line) for line in (dockerignore or "").split("\n")]
    found: dict[str, None] = {}
    for name in names:
        if not glob.has_magic(name) or (folder / name).exists():
            found[name] = None
            continue
        paths = sorted(
            path
            for match in glob.glob(name, root_dir=folder, recursive=True)  # noqa: PTH207  # `**` of Path.glob has no files
            if (path := Path(match).as_posix()) != "."
            and not is_kept_out(path)
            and hiding_line(lines, path) < 0
        )
        if not paths:
            raise DockerCacheError(
                f"`files` in [tool.poetry-docker-cache] has the pattern {name!r}, which matches no"
                " file that the build gets.",
                fix="Correct the pattern, or remove it from the list.",
            )
        found.update(dict.fromkeys(paths))
    return tuple(found)


def problem_paths(context: Path, within: Iterable[str], ignore_file: str) -> list[ProblemPath]:
    """List the problem paths within these paths that are sent to BuildKit.

    `ignore_file` is the text of the ignore file; all paths are relative to the context.
    """
    found = {
        problem.path: problem for name in within for problem in _problems(context, context / name)
    }
    lines = [parse(line) for line in ignore_file.split("\n")] if found else []
    return [found[path] for path in sorted(found) if hiding_line(lines, path) < 0]


def unignored(folder: Path, ignore_file: str) -> list[str]:
    """List what is in a folder that no build should see, but an ignore file lets through."""
    lines = [parse(line) for line in ignore_file.split("\n")]
    names = sorted(
        path.name
        for path in folder.iterdir()
        if is_kept_out(path.name) and path.name != ".dockerignore"
    )
    # A line such as `.git/*` excludes the content of a folder, but not the folder.
    return [
        name
        for name in names
        if hiding_line(lines, name) < 0 and hiding_line(lines, f"{name}/{_ANY_NAME}") < 0
    ]


def _problems(context: Path, place: Path) -> Iterator[ProblemPath]:
    """Walk a path, without files and folders that are kept out by their names."""
    path = Path(os.path.normpath(place)).relative_to(context).as_posix()
    folder = is_folder(place)
    if _NOT_UTF_8.search(place.name):
        yield ProblemPath(path=path, kind="name")
    elif place.is_symlink():
        if not real_path(place).is_relative_to(context):
            yield ProblemPath(path=path, kind="link")
    elif not os.access(place, os.R_OK | os.X_OK if folder else os.R_OK):
        if os.path.lexists(place):
            yield ProblemPath(path=path, kind="unreadable")
    elif folder:
        for name in _entries(place):
            yield from _problems(context, place / name)


def _entries(place: Path) -> list[str]:
    """List names in a folder that may be problems; none if the folder has just been removed."""
    with contextlib.suppress(FileNotFoundError), os.scandir(place) as entries:
        return [
            entry.name for entry in entries if not (_is_plain(entry) or is_kept_out(entry.name))
        ]
    return []


def _is_plain(entry: os.DirEntry[str]) -> bool:
    readable = entry.is_file(follow_symlinks=False) and os.access(entry.path, os.R_OK)
    return readable and (entry.name.isascii() or not _NOT_UTF_8.search(entry.name))
