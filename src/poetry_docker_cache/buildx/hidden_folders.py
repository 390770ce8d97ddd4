"""Folders of caches and wheels in the build context, which the ignore file has to exclude."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from poetry_docker_cache.caches.spec import folders_of
from poetry_docker_cache.docker.ignore_patterns import hiding_line, literal, parse
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.system.compat import real_path

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from poetry_docker_cache.caches.spec import Cache


def hidden_paths(folders: Iterable[Path], context: Path) -> tuple[str, ...]:
    """Return the folders inside the context, relative to it."""
    real = [real_path(folder) for folder in folders]
    inside = {folder.relative_to(context) for folder in real if context in folder.parents}
    return tuple(sorted(path.as_posix() for path in inside))


def written_inside(cache: Cache | None) -> tuple[str, ...]:
    """Return the folders of a cache setting inside the project, the same on every machine."""
    given = folders_of(cache) if cache else ()
    paths = [posixpath.normpath(path) for path in given if path[0] not in "/~"]
    return tuple(sorted({path for path in paths if path.split("/")[0] not in (".", "..")}))


def refuse_visible(hidden: Iterable[str], dockerfile: Path, context: Path) -> None:
    """Raise DockerCacheError if a vendored Dockerfile's ignore file does not exclude a cache."""
    own = dockerfile.with_name(f"{dockerfile.name}.dockerignore")
    ignore = own if own.is_file() else context / ".dockerignore"
    text = ignore.read_text(encoding="utf-8", errors="replace") if ignore.is_file() else ""
    lines = [parse(line) for line in text.removeprefix("\ufeff").split("\n")]
    for path in hidden:
        if hiding_line(lines, f"{path}/index.json") < 0:
            raise DockerCacheError(
                f"The cache folder {path} is in the project, and {ignore.name} does not exclude "
                "it: it would be sent to each build, and could be copied into the image.",
                fix=f"Add the line /{literal(path)} to {ignore.name}, or choose another folder.",
            )
