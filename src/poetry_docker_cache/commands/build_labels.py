"""The labels that `poetry docker build` adds: where an image comes from, and what it holds."""

from __future__ import annotations

import platform
from importlib.metadata import version
from typing import TYPE_CHECKING

from poetry_docker_cache.docker.platforms import host_platform
from poetry_docker_cache.plan.image_contents import contents_of
from poetry_docker_cache.system.compat import tomllib

if TYPE_CHECKING:
    from collections.abc import Sequence

    from poetry_docker_cache.commands.planned_image import PlannedImage
    from poetry_docker_cache.docker.image_labels import ImageContents


def image_contents(image: PlannedImage, platforms: Sequence[str] = ()) -> ImageContents:
    """Return what a planned image holds; by default for the platforms in its settings, or this one.

    Raises DockerCacheError if no locked file of a package can be installed.
    """
    own = host_platform(platform.machine())
    # Poetry's own data is slow to read if the tables of the file are out of order.
    pyproject = tomllib.loads(image.poetry.pyproject_path.read_text(encoding="utf-8"))
    return contents_of(
        image.plan,
        image.settings,
        pyproject,
        image.lock.data,
        platforms=platforms or image.settings.platforms or ([own] if own else []),
        plugin=version("poetry-docker-cache"),
    )
