"""The build context: the project's folder, or one above it that holds all that the image takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from poetry_docker_cache.errors import DockerCacheError

if TYPE_CHECKING:
    from pathlib import Path


def context_folder(project: Path, place: str, *, home: Path) -> Path:
    """The folder in which the project has this place.

    Raises DockerCacheError where it would be the user's home folder, or hold that: what happens to
    lie there is no part of a project, and the next machine has something else there.
    """
    if place == ".":
        return project
    context = project.parents[place.count("/")]
    if home == context or context in home.parents:
        raise DockerCacheError(
            f"The build context would be {context}, which is your home folder or holds it: the"
            " image takes files from beside the project, and only that folder has both.",
            fix="Move both into one folder.",
        )
    return context
