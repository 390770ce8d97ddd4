"""Sizes from the project's own environment, if there is one: it is read, never made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from poetry.utils.env import EnvManager

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.sizes import locked_sizes
from poetry_docker_cache.sizes.installed import installed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from poetry.poetry import Poetry

    from poetry_docker_cache.sizes import LockedPackage, Sizes

_FIX = "Run `poetry install`, or take the sizes from an image or the index: `--from`."


def environment_sizes(poetry: Poetry, packages: Sequence[LockedPackage]) -> Sizes:
    """The bytes of what is installed there in its locked version.

    Raises DockerCacheError where there is no environment, or it cannot be read.
    """
    try:
        folders = _folders(poetry)
        found = installed(folders)
    except Exception as error:
        raise DockerCacheError(
            f"The project's environment cannot be read ({type(error).__name__}).", fix=_FIX
        ) from error
    if not folders:
        raise DockerCacheError("The project has no environment.", fix=_FIX)
    return locked_sizes(packages, found)


def _folders(poetry: Poetry) -> list[str]:
    env = EnvManager(poetry).get()
    # Without an environment Poetry names the Python that it runs on itself.
    if not env.is_venv() and poetry.config.get("virtualenvs.create"):
        return []
    return list(dict.fromkeys((str(env.purelib), str(env.platlib))))
