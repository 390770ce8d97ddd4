"""What of a build context the builder does not get as it is on this machine.

Of a file that this user may not read, BuildKit makes an empty one, without a word; at a folder it
stops, as it does at a name that is no UTF-8. A link is sent as it is: what it points to, outside of
the context, is not there.
"""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from poetry_docker_cache.docker.ignore_patterns import hiding_line, parse
from poetry_docker_cache.docker.kept_out import is_kept_out
from poetry_docker_cache.system.compat import is_folder, real_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_NO_UTF_8 = re.compile(r"[\ud800-\udfff]")
"""How Python has the bytes of a name that are none."""


@dataclass(frozen=True, kw_only=True)
class Odd:
    """A path in the context of which the build gets something else, or nothing."""

    path: str
    kind: Literal["unreadable", "name", "link"]
    """Whether this user may not read it, its name is no UTF-8, or it is a link that leaves the
    context."""


def odd_paths(context: Path, within: Iterable[str], ignore_file: str) -> list[Odd]:
    """List those within these paths that are sent to the builder.

    `ignore_file` is the text that decides on that; all paths are as the context has them.
    """
    found = {odd.path: odd for name in within for odd in _odd(context, context / name)}
    lines = [parse(line) for line in ignore_file.split("\n")] if found else []
    return [found[path] for path in sorted(found) if hiding_line(lines, path) < 0]


def _odd(context: Path, place: Path) -> Iterator[Odd]:
    """Go through what is at a place, but for what is kept out by its name."""
    path = Path(os.path.normpath(place)).relative_to(context).as_posix()
    folder = is_folder(place)
    if _NO_UTF_8.search(place.name):
        yield Odd(path=path, kind="name")
    elif place.is_symlink():
        if not real_path(place).is_relative_to(context):
            yield Odd(path=path, kind="link")
    elif not os.access(place, os.R_OK | os.X_OK if folder else os.R_OK):
        if os.path.lexists(place):
            yield Odd(path=path, kind="unreadable")
    elif folder:
        for name in _entries(place):
            yield from _odd(context, place / name)


def _entries(place: Path) -> list[str]:
    """List what may be odd in a folder; nothing, where a running program has removed it."""
    with contextlib.suppress(FileNotFoundError), os.scandir(place) as entries:
        return [it.name for it in entries if not _is_plain(it) and not is_kept_out(it.name)]
    return []


def _is_plain(entry: os.DirEntry[str]) -> bool:
    readable = entry.is_file(follow_symlinks=False) and os.access(entry.path, os.R_OK)
    return readable and (entry.name.isascii() or not _NO_UTF_8.search(entry.name))
