"""The cache of one of several images: in one place, each would replace that of the others. Pure."""

from __future__ import annotations

import os.path
from dataclasses import replace
from typing import TYPE_CHECKING

from poetry_docker_cache.caches.spec import Folder, Store
from poetry_docker_cache.image_names import (
    in_repository_of,
    is_reference,
    normalised,
    repository_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from poetry_docker_cache.caches.spec import Cache

_NAMES = {"gha": "scope", "s3": "name", "azblob": "name"}
"""What tells the caches of a backend apart."""
_BUILDKIT = "buildkit"
"""Its value, where nothing is said."""


def cache_of(image: str, cache: Cache) -> Cache:
    """Give the place of an image's own cache beside the one that was named for all images.

    >>> cache_of("api", Folder(path="./.buildcache")).path
    './.buildcache-api'
    """
    if isinstance(cache, Folder):
        path = _beside(cache.path, image)
        return Folder(path=path, written=cache.written and _beside(cache.written, image))
    options = dict(cache.options)
    for name in ("src", "dest"):
        if cache.type == "local" and name in options:
            options[name] = _beside(options[name], image)
    if cache.type == "registry":
        options["ref"] = in_repository_of(options["ref"], image)
    if name := _NAMES.get(cache.type, ""):
        options[name] = f"{options.get(name, _BUILDKIT)}-{image}"
    return replace(cache, options=tuple(options.items()))


def named_cache(
    image: str, cache: Cache, *, setting: Cache | None, tags: Sequence[str] = ()
) -> Cache:
    """Give the cache that an option names for an image, which has this one of its own, and tags.

    That, and what lies in its own repository, is meant as it is; any other is named for all images.
    """
    repositories = [repository_of(tag) for tag in tags if is_reference(tag)]
    is_own = setting is not None and place_of(cache) == place_of(setting)
    if isinstance(cache, Store) and cache.reference:
        is_own = is_own or repository_of(cache.reference) in repositories
    return cache if is_own else cache_of(image, cache)


def place_of(cache: Cache) -> str:
    """Give what two caches have in common that would replace each other; "" where that is nothing.

    >>> place_of(Folder(path="./.buildcache/"))
    '.buildcache'
    """
    if isinstance(cache, Folder):
        return _place(cache.path)
    if cache.type == "registry":
        return normalised(cache.reference)
    if cache.type == "local":
        return _place(cache.get("dest") or "")
    if cache.type == "inline":
        return ""
    name = _NAMES.get(cache.type, "")
    options = {name: _BUILDKIT, **dict(cache.options)}
    return replace(cache, options=tuple(sorted(options.items()))).words(writing=False)


def _place(path: str) -> str:
    return os.path.normpath(path) if _beside(path, "x") != path else ""


def _beside(path: str, image: str) -> str:
    folder = path.rstrip("/")
    # A folder without a name of its own is refused elsewhere.
    return path if folder.rpartition("/")[2] in ("", ".", "..", "~") else f"{folder}-{image}"
