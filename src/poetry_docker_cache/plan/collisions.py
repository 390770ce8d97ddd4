"""Errors for images, or caches, that would replace each other. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from poetry_docker_cache.caches.spec import place_of
from poetry_docker_cache.docker.image_names import default_tag, normalised
from poetry_docker_cache.errors import DockerCacheError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from poetry_docker_cache.settings.table import Settings


def refuse_collisions(images: Mapping[str, Settings], *, name: str, version: str | None) -> None:
    """Raise DockerCacheError for an image or a cache with the reference of another image's.

    `name` and `version` are the project's, from which an image gets its default name.
    """
    named: dict[str, str] = {}
    for image, settings in images.items():
        try:
            tag = normalised(default_tag(f"{name}-{image}", version, image=settings.image))
        except DockerCacheError:  # an invalid tag is an error only when the image is built
            continue
        if (other := named.setdefault(tag, image)) != image:
            raise DockerCacheError(
                f"The images {other} and {image} are both called {tag}: one would replace the"
                " other.",
                fix=f"Change `image` in [tool.poetry-docker-cache.images.{image}].",
            )
    kept: dict[str, str] = {}
    for image, settings in images.items():
        place = place_of(settings.cache) if settings.cache else ""
        if place and (other := kept.setdefault(place, image)) != image:
            raise _cache_error(image, place, f"the cache of {other} is there as well")
        if (other := named.get(place, image)) != image:
            raise _cache_error(image, place, f"the image {other} has the same name")


def _cache_error(image: str, place: str, why: str) -> DockerCacheError:
    return DockerCacheError(
        f"The cache of the image {image} is stored in {place}, and {why}: one would replace the"
        " other.",
        fix=f"Change `cache` in [tool.poetry-docker-cache.images.{image}]. A `cache` in"
        " [tool.poetry-docker-cache] gives each image a separate cache.",
    )
