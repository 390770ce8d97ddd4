"""The paths of a project's files, and the texts that explain its Dockerfile."""

from __future__ import annotations

import os
import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING

from poetry_docker_cache.docker.kept_out import FOLDERS, is_kept_out
from poetry_docker_cache.project.root.declared import is_file, text_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_MOST = 100_000
"""The most files that are listed."""


def project_files(folder: Path) -> frozenset[str]:
    """List the files of a project, without environments, caches and version control."""
    found: list[str] = []
    for path in _walk(folder):
        found.append(path)
        if len(found) == _MOST:
            break
    return frozenset(found)


def _walk(folder: Path) -> Iterator[str]:
    for here, folders, names in os.walk(folder):
        place = Path(here).relative_to(folder).as_posix()
        folders[:] = sorted(name for name in folders if not is_kept_out(name, FOLDERS))
        yield from (posixpath.normpath(posixpath.join(place, name)) for name in sorted(names))


_COMPOSE = ("compose*.y*ml", "docker-compose*.y*ml", "*/docker-compose*.y*ml", "*/compose*.y*ml")
_NOT_PRODUCTION = re.compile(r"(?:^|[./_-])(?:dev\w*|test\w*|ci|override|local|debug)(?=$|[./_-])")


def compose_files(folder: Path) -> dict[str, str]:
    """Return the texts of a folder's Compose files, except for those of development."""
    found = [path for pattern in _COMPOSE for path in sorted(folder.glob(pattern))]
    named = {path.relative_to(folder).as_posix(): path for path in found if is_file(path)}
    return {
        name: text_of(path)
        for name, path in named.items()
        if not _NOT_PRODUCTION.search(name) and not is_kept_out(name, FOLDERS)
    }


def workflow_files(folder: Path) -> dict[str, str]:
    """Return the texts of a folder's GitHub workflows."""
    found = sorted((folder / ".github" / "workflows").glob("*.y*ml"))
    return {path.relative_to(folder).as_posix(): text_of(path) for path in found}


def settings_of_django(folder: Path, files: Collection[str]) -> dict[str, str]:
    """Return the texts of Django's settings and of what they import, by name."""
    likely = (
        path
        for path in sorted(files)
        if path.endswith(".py") and ("settings" in path or "config" in path)
    )
    texts = {path: text_of(folder / path) for path in likely}
    return {
        path: text for path, text in texts.items() if "STATIC_ROOT" in text or "__file__" in text
    }
