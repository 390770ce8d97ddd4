"""The build context: its folder, and the paths in it that a Dockerfile can name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from poetry_docker_cache.errors import DockerCacheError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def context_folder(project: Path, place: str, *, home: Path) -> Path:
    """The folder in which `place` is the path of the project.

    Raises DockerCacheError if it is the user's home folder or contains it: other files there are
    not part of the project, and differ on the next machine.
    """
    if place == ".":
        return project
    context = project.parents[place.count("/")]
    if home == context or context in home.parents:
        raise DockerCacheError(
            f"The build context would be {context}, which is your home folder or contains it: the"
            " image needs files outside the project, and this is the nearest folder that has both.",
            fix="Move the project and these files into one folder.",
        )
    return context


def checked_paths(paths: Sequence[str]) -> tuple[str, ...]:
    """The same paths. Raises DockerCacheError for one that `COPY` cannot name.

    BuildKit has no way to quote some characters.
    """
    for path in paths:
        if re.search(r"[*?\\\x00-\x1f\ud800-\udfff]|^-", path):
            raise DockerCacheError(
                f"{path!r} cannot be copied into an image: a Dockerfile cannot name it, because of"
                " a wildcard, a backslash, an invalid character or a leading hyphen.",
                fix="Rename it, or copy the folder that contains it.",
            )
    return tuple(paths)
