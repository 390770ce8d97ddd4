"""`[tool.poetry-docker-cache.images]`: the settings of each of several images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from poetry_docker_cache.caches.spec import cache_of
from poetry_docker_cache.docker.image_names import moved_to, repository_of
from poetry_docker_cache.settings.table import KEYS, Settings, plain, refuse_unknown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from poetry_docker_cache.settings.run_values import RunSetting

_MERGED_KEYS = ("build-args", "dev", "env", "instructions", "labels", "test")
"""Tables that are merged key by key with the common one; any other value replaces it."""

_OWN_KEYS = tuple(key for key in KEYS if key.name != "images")


def parse_images(table: object) -> dict[str, Settings]:
    """Return the settings of each named image; empty if the project has one unnamed image.

    Raises `SettingsError` as `Settings.parse` does; an error in an image has its path.
    """
    common = Settings.parse(table)
    if not isinstance(table, Mapping) or not common.images:
        return {}
    images: Any = plain(table["images"])
    found = {name: _parse(name, images[name], table, common) for name in common.images}
    return {
        name: replace(settings, run=_with_families(settings.run, found))
        for name, settings in found.items()
    }


def _with_families(
    steps: Sequence[RunSetting], images: Mapping[str, Settings]
) -> tuple[RunSetting, ...]:
    """Return the steps of an image with the names of the images that have the same ones."""
    found = []
    for position, step in enumerate(steps):
        names = [name for name, each in images.items() if step in each.run[position:][:1]]
        family = "" if len(names) == len(images) else ".".join(sorted(names))
        found.append(replace(step, family=family))
    return tuple(found)


def _parse(
    name: str, own: Mapping[str, object], table: Mapping[str, object], common: Settings
) -> Settings:
    inside = f"images.{name}"
    refuse_unknown(own, [key.name for key in _OWN_KEYS], inside=inside)
    read: dict[str, Any] = {}
    for key in _OWN_KEYS:
        if key.name in own:
            spot = replace(key.spot, path=f"{inside}.{key.name}")
            read[key.field] = key.read(spot, _merged(key.name, table, own))
    # Two images cannot share a repository or a cache: each gets a name derived from the common one.
    if "image" not in own and common.image is not None:
        read["image"] = f"{common.image}-{name}"
    if "cache" not in own and common.cache is not None:
        read["cache"] = cache_of(name, common.cache)
    settings = replace(common, images=(), **read)
    if "reuse-image" not in own:
        settings = replace(settings, reuse_image=_reuse_image(common, settings.image))
    settings.refuse_unknown_python(inside=f"{inside}.")
    return settings


def _reuse_image(common: Settings, image: str | None) -> str | None:
    """Return the common `reuse-image`, in this image's repository if it was in the common one."""
    earlier = common.reuse_image
    if not (earlier and image and common.image):
        return earlier
    is_common = repository_of(earlier) == repository_of(common.image)
    return moved_to(earlier, image) if is_common else earlier


def _merged(key: str, table: Mapping[str, object], own: Mapping[str, object]) -> object:
    """Return an image's value of a setting, merged with the common one if both are tables."""
    value, below = plain(own[key]), plain(table.get(key))
    if key in _MERGED_KEYS and isinstance(value, Mapping) and isinstance(below, Mapping):
        return {**below, **value}
    return value
