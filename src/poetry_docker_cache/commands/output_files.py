"""The files that `poetry docker export` writes or checks: their paths, and what differs on disk."""

from __future__ import annotations

import os
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from poetry_docker_cache.docker.dockerfile_syntax import EXPORT
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.render.exported_files import (
    difference,
    is_foreign,
    is_hand_written,
)
from poetry_docker_cache.system.compat import is_folder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from poetry_docker_cache.commands.console import Console


def output_path(given: str | None, usual: Path) -> Path:
    """Return the path in `-o` or the usual one, relative to the working directory if possible.

    Raises DockerCacheError if `-o` is empty or a folder.
    """
    if given is not None and (given.endswith(("/", os.sep)) or is_folder(given or ".")):
        raise DockerCacheError(
            f"{given} is a folder." if given else "`-o` is empty.",
            fix="Give `-o` the path of a file, or leave it out.",
        )
    path = (usual if given is None else Path(given)).absolute()
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def check(
    console: Console,
    files: dict[Path, str],
    *,
    again: str,
    removed: Sequence[Path] = (),
    suggestions: Mapping[Path, str] = MappingProxyType({}),
) -> int:
    """Check that the files on disk are up to date; `again` is the command that writes them.

    Raises DockerCacheError, after printing a diff, if they are not. A file that was written by hand
    has nothing to compare: the error has a fix from `suggestions`.
    """
    found = difference(files, removed)
    if not found:
        console.line("Up to date.")
        return 0
    if console.is_quiet:  # the exit status says it
        return 1
    for path in filter(is_hand_written, files):
        raise DockerCacheError(
            f"{path} was written by hand, not by `{EXPORT}`, so it is not compared.",
            fix=suggestions.get(path, "Pass `--force` instead of `--check` to replace it."),
        )
    console.raw(found)  # for `patch`, whatever the terminal's encoding is
    raise DockerCacheError(
        f"{'The files on disk are' if len(files) > 1 else f'{next(iter(files))} is'} out of date:"
        f" `{again}` would write something else.",
        fix=(
            f"Run `{again} --force` to replace them, although one was written or edited by hand."
            if any(is_foreign(path) for path in (*files, *removed))
            else f"Run `{again}`."
        ),
    )
