"""The labels that `poetry docker build` adds: where an image comes from, and what it holds."""

from __future__ import annotations

import platform
from importlib.metadata import version
from typing import TYPE_CHECKING

from poetry_docker_cache.docker.platforms import host_platform
from poetry_docker_cache.plan.image_contents import contents_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from poetry_docker_cache.commands.planned_image import PlannedImage
    from poetry_docker_cache.docker.image_labels import ImageContents


def image_contents(image: PlannedImage, platforms: Sequence[str] = ()) -> ImageContents:
    """Return what a planned image holds; by default for the platforms in its settings, or this one.

    Raises DockerCacheError if no locked file of a package can be installed.
    """
    own = host_platform(platform.machine())
    return contents_of(
        image.plan,
        image.settings,
        image.poetry.pyproject.data,
        image.poetry.locker.lock_data,
        platforms=platforms or image.settings.platforms or ([own] if own else []),
        plugin=version("poetry-docker-cache"),
    )
