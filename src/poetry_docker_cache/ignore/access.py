"""What of a build context this user may not read.

Of an unreadable file BuildKit makes an empty one, without a word, and at a folder it stops.
"""

from __future__ import annotations

import os
import posixpath
from pathlib import Path
from typing import TYPE_CHECKING

from poetry_docker_cache.ignore.names import is_kept_out
from poetry_docker_cache.ignore.rules import hiding_line, parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def unreadable(context: Path, within: Iterable[str], ignore_file: str) -> list[str]:
    """List the files and folders within these paths that are sent to the builder all the same.

    `ignore_file` is the text that decides on that; all paths are as the context has them.
    """
    found = sorted({path for name in within for path in _unreadable(context, name)})
    lines = [parse(line) for line in ignore_file.split("\n")] if found else []
    return [path for path in found if hiding_line(lines, path) < 0]


def _unreadable(context: Path, name: str) -> Iterator[str]:
    top = context / name
    if _refused(top, is_folder=os.path.isdir(top)):  # noqa: PTH112  # is_dir() raises for some paths
        yield posixpath.normpath(name)
    for here, folders, files in os.walk(top):
        folders[:] = [it for it in folders if not is_kept_out(it)]
        refused = [it for it in folders if _refused(Path(here, it), is_folder=True)]
        refused += [it for it in files if _refused(Path(here, it), is_folder=False)]
        yield from (Path(here, it).relative_to(context).as_posix() for it in refused)


def _refused(path: Path, *, is_folder: bool) -> bool:
    mode = os.R_OK | os.X_OK if is_folder else os.R_OK
    return not os.access(path, mode) and os.path.lexists(path) and not path.is_symlink()
