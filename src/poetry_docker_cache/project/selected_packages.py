"""The packages of a lock file that an image installs. Imports no Poetry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.inside.manifest.locked_packages import is_path_dependency, select
from poetry_docker_cache.inside.manifest.target import Target

if TYPE_CHECKING:
    from poetry_docker_cache.project.model import Lock, Selection


def locked_packages(lock: Lock, selection: Selection, python: str) -> list[dict[str, Any]]:
    """Return the `[[package]]` tables that an image with this Python ("3.12") may install.

    Each has an additional `marker`: the part of its markers that depends on the platform, or "".
    Raises DockerCacheError if a lock of an older format does not contain enough to decide.
    """
    chosen = _chosen(lock, selection, python)
    return [package for package in chosen if not is_path_dependency(package)]


def path_dependencies(lock: Lock, selection: Selection, python: str) -> list[dict[str, Any]]:
    """Return the tables, with `marker` as above, of the dependencies on local folders."""
    chosen = _chosen(lock, selection, python)
    return [package for package in chosen if is_path_dependency(package)]


def _chosen(lock: Lock, selection: Selection, python: str) -> list[dict[str, Any]]:
    environment = Target.linux(python=python).environment
    try:
        chosen = select(lock.data, selection.groups, selection.extras, environment)
    except ValueError as error:
        raise DockerCacheError(
            f"For an image with Python {python}: {error}.",
            fix=(
                "Run `poetry lock` with Poetry 2.1 or newer, which keeps the locked versions,"
                " or set another `python` in [tool.poetry-docker-cache]."
            ),
        ) from error
    return [{**package, "marker": marker} for package, marker in chosen]
