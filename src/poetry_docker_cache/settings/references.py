"""The settings that name an image; see `settings.values`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from poetry_docker_cache.image_names import is_reference, is_repository
from poetry_docker_cache.settings.errors import kind
from poetry_docker_cache.settings.values import entries, line

if TYPE_CHECKING:
    from poetry_docker_cache.settings.errors import Spot

_IMAGE_NAME = re.compile(r"[a-z0-9]+(?:[-_][a-z0-9]+)*")


def repository(spot: Spot, value: object) -> str:
    """Read the name of the image that is built."""
    content = line(spot, value)
    if is_repository(content):
        return content
    why = "that is not the name of a repository"
    if "://" in content:
        why = "a repository's name has no scheme"
    elif is_reference(content):
        why = "the tag is not part of it: that is the project's version, or what `-t` says"
    elif is_reference(content.lower()):
        why = "Docker takes lower case only"
    raise spot.refuse(value, why)


def reference(spot: Spot, value: object) -> str:
    """Read the name of an image to pull."""
    content = line(spot, value)
    if not is_reference(content):
        raise spot.refuse(value, "Docker could not read that as the name of an image")
    return content


def base_image(spot: Spot, value: object) -> str:
    """Read the name of an image to pull in which `{python}` may stand for the version."""
    content = line(spot, value)
    filled = content.replace("{python}", "3.12")
    if "{" in filled or "}" in filled:
        raise spot.refuse(value, "`{python}` is all that is filled in")
    if not is_reference(filled):
        raise spot.refuse(value, "Docker could not read that as the name of an image")
    return content


def syntax(spot: Spot, value: object) -> str | Literal[False]:
    """Read the frontend: an image, "auto", or `false` for no `# syntax` line."""
    if value is False:
        return False
    if value is True:
        raise spot.refuse(value, 'that does not say which frontend; "auto" is the default')
    return reference(spot, value)


def image_names(spot: Spot, value: object) -> tuple[str, ...]:
    """Read the names of several images, sorted; what each table holds, `settings.images` reads."""
    found = entries(spot, value)
    for name, table in found.items():
        here = spot.entry(name)
        why = ""
        if not _IMAGE_NAME.fullmatch(name):
            why = "the name is not lower-case letters and digits with single - or _ between them"
        elif name == "default":
            why = "for `docker buildx bake` that name is all of the images"
        elif not isinstance(table, Mapping):
            why = f"that is {kind(table)}, not a table"
        if why:
            raise here.refuse(table, why)
    return tuple(sorted(found))
