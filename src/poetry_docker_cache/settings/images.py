"""The settings of named images (`images.NAME`), each laid over those that all have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from poetry_docker_cache.caches.named import cache_of
from poetry_docker_cache.image_names import in_repository, repository_of
from poetry_docker_cache.settings import Settings, plain
from poetry_docker_cache.settings.errors import unknown_key
from poetry_docker_cache.settings.keys import KEYS

_MERGED = ("env", "instructions", "labels")
"""Tables that are laid over each other key by key; any other value replaces the common one."""

_OWN_KEYS = tuple(key for key in KEYS if key.name != "images")


def parse_images(table: object) -> dict[str, Settings]:
    """Give the settings of each named image; nothing where the project names none.

    Raises `SettingsError` as `Settings.parse` does, for a mistake in an image with its path.
    """
    common = Settings.parse(table)
    if not isinstance(table, Mapping) or not common.images:
        return {}
    images: Any = plain(table["images"])
    return {name: _parse(name, images[name], table, common) for name in common.images}


def _parse(
    name: str, own: Mapping[str, object], table: Mapping[str, object], common: Settings
) -> Settings:
    inside = f"images.{name}"
    known = tuple(key.name for key in _OWN_KEYS)
    for found in own:
        if found not in known:
            raise unknown_key(str(found), known, inside=inside)
    read: dict[str, Any] = {}
    for key in _OWN_KEYS:
        if key.name in own:
            spot = replace(key.spot, path=f"{inside}.{key.name}")
            read[key.field] = key.read(spot, _laid_over(key.name, table, own))
    # What all images have in common can name one place only, and each has its own.
    if "image" not in own and common.image is not None:
        read["image"] = f"{common.image}-{name}"
    if "cache" not in own and common.cache is not None:
        read["cache"] = cache_of(name, common.cache)
    settings = replace(common, images=(), **read)
    if "reuse-image" not in own:
        settings = replace(settings, reuse_image=_earlier(common, settings.image))
    settings.refuse_unknown_python(inside=f"{inside}.")
    return settings


def _earlier(common: Settings, image: str | None) -> str | None:
    """Give the earlier image of one of several: none is ever called as all of them in common."""
    earlier = common.reuse_image
    if not (earlier and image and common.image):
        return earlier
    is_common = repository_of(earlier) == repository_of(common.image)
    return in_repository(earlier, image) if is_common else earlier


def _laid_over(key: str, table: Mapping[str, object], own: Mapping[str, object]) -> object:
    """Give an image's value of a setting, with the common one below it where both are tables."""
    value, below = plain(own[key]), plain(table.get(key))
    if key in _MERGED and isinstance(value, Mapping) and isinstance(below, Mapping):
        return {**below, **value}
    return value
