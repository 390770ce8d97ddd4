"""Two of several images in one place, where the second would replace the first. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from poetry_docker_cache.caches.spec import place_of
from poetry_docker_cache.docker.image_names import default_tag, normalised
from poetry_docker_cache.errors import DockerCacheError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from poetry_docker_cache.settings.table import Settings


def refuse_collisions(
    images: Mapping[str, Settings], *, name: str | None, version: str | None
) -> None:
    """Raise DockerCacheError for an image or a cache that has the place of another image's.

    `name` and `version` are the project's, after which an image is called that says nothing else.
    """
    named: dict[str, str] = {}
    for image, settings in images.items():
        own = f"{name}-{image}" if name else None
        try:
            tag = normalised(default_tag(own, version, image=settings.image))
        except DockerCacheError:  # it has no name, which is told where it needs one
            continue
        if (other := named.setdefault(tag, image)) != image:
            raise DockerCacheError(
                f"The images {other} and {image} are both called {tag}: the one would take the"
                " other's place.",
                fix=f"Give `image` in [tool.poetry-docker-cache.images.{image}] another value.",
            )
    kept: dict[str, str] = {}
    for image, settings in images.items():
        place = place_of(settings.cache) if settings.cache else ""
        if place and (other := kept.setdefault(place, image)) != image:
            raise _of_cache(image, place, f"that of {other} is there, too")
        if (other := named.get(place, image)) != image:
            raise _of_cache(image, place, f"the image {other} is called so, too")


def _of_cache(image: str, place: str, why: str) -> DockerCacheError:
    return DockerCacheError(
        f"The cache of the image {image} is in the place {place}, and {why}: the one would replace"
        " the other.",
        fix=f"Give `cache` in [tool.poetry-docker-cache.images.{image}] another value. One that"
        " stands in [tool.poetry-docker-cache] gives each image a place of its own.",
    )
