"""Sizes from the project's virtual environment, which is read and never created."""

from __future__ import annotations

from typing import TYPE_CHECKING

from poetry.utils.env import EnvManager

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.sizes.installed import installed
from poetry_docker_cache.sizes.package_sizes import locked_sizes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from poetry.poetry import Poetry
    from poetry.utils.env import Env

    from poetry_docker_cache.sizes.package_sizes import LockedPackage, Sizes

_FIX = "Run `poetry install`, or use `--from image` or `--from index`."


def environment_sizes(poetry: Poetry, packages: Sequence[LockedPackage]) -> Sizes:
    """Return the bytes of the packages that are installed in their locked versions.

    Raises DockerCacheError if there is no environment or it cannot be read.
    """
    try:
        found = [locked_sizes(packages, installed(_folders(env))) for env in _environments(poetry)]
    except Exception as error:
        raise DockerCacheError(
            f"The project's environment cannot be read ({type(error).__name__}).", fix=_FIX
        ) from error
    if not found:
        raise DockerCacheError("The project has no environment.", fix=_FIX)
    return max(found, key=len)


def _environments(poetry: Poetry) -> list[Env]:
    """Return the environment that Poetry uses, or all of them if it has not chosen one."""
    manager = EnvManager(poetry)
    env = manager.get()
    # Without an environment for Poetry's own Python, this is the Python that Poetry runs on.
    if env.is_venv() or not poetry.config.get("virtualenvs.create"):
        return [env]
    return [*manager.list()]


def _folders(env: Env) -> list[str]:
    return list(dict.fromkeys((str(env.purelib), str(env.platlib))))
