"""The choice of the Poetry that installs what pip cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.version import Version

from poetry_docker_cache.errors import DockerCacheError

if TYPE_CHECKING:
    from poetry_docker_cache.plan.python_version import Python

NEWEST_POETRY = Version("2.5.1")
OLDEST_POETRY = Version("2.1")
# Poetry 2.3 dropped Python 3.9.
_LAST_POETRY_FOR_39 = Version("2.2.1")


def choose_poetry(generator: Version | None, *, setting: str | None, python: Python) -> str:
    """The setting, else the Poetry that wrote the lock if it is final and runs on this Python.

    Raises DockerCacheError if the Poetry in the setting does not run on this Python.
    """
    old_python = python.minor < (3, 10)
    if setting is not None:
        if old_python and Version(setting) > _LAST_POETRY_FOR_39:
            raise DockerCacheError(
                f'`poetry-version = "{setting}"` in [tool.poetry-docker-cache] does not run on'
                f" Python {python.tag}: Poetry 2.3 and newer need Python 3.10.",
                fix=f'Set `poetry-version = "{_LAST_POETRY_FOR_39}"`, or a newer `python`.',
            )
        return setting
    newest = _LAST_POETRY_FOR_39 if old_python else NEWEST_POETRY
    if generator is None or generator < OLDEST_POETRY or str(generator) != generator.base_version:
        return str(newest)
    return str(newest if old_python and generator > newest else generator)
