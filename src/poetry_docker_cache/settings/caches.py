"""The setting that names a build cache; see `settings.values`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from poetry_docker_cache.caches.options import BadCache
from poetry_docker_cache.caches.spec import Cache, parse
from poetry_docker_cache.settings.errors import TABLE, SettingsError, kind

if TYPE_CHECKING:
    from poetry_docker_cache.settings.errors import Spot


def cache(spot: Spot, value: object) -> Cache:
    """Read an image, a folder (relative to the project), or a backend with its options."""
    if not isinstance(value, str | Mapping):
        raise spot.refuse(value, f"that is {kind(value)}, neither a string nor a table")
    try:
        return parse(value, "both")
    except BadCache as error:
        if error.quotable:
            raise spot.refuse(value, error.why, fix=error.fix) from error
        raise SettingsError(
            f"`{spot.path}` in {TABLE} cannot be used: {error.why}.",
            fix=error.fix or f"For example: {spot.example}",
        ) from None
