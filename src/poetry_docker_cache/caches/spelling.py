"""How a cache is spelt for --cache-from and --cache-to. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from poetry_docker_cache import go_csv
from poetry_docker_cache.caches.spec import Folder

if TYPE_CHECKING:
    from poetry_docker_cache.caches.spec import Cache, Store

_EXPORT = {"mode": "max", "ignore-error": "true"}


def read_words(cache: Cache) -> str:
    """Spell a cache for --cache-from; an image alone as BuildKit itself abbreviates it."""
    if isinstance(cache, Folder):
        return folder_words(cache.path, writing=False)
    words = cache.words(writing=False)
    image = go_csv.record("type=registry", f"ref={cache.reference}")
    return cache.reference if words == image else words


def write_words(cache: Cache, *, as_image: bool = True) -> str:
    """Spell a cache for --cache-to: every stage, and a failure does not cost the image.

    `as_image` is whether BuildKit can write that of a registry as an image, which ECR wants.
    """
    if isinstance(cache, Folder):
        return folder_words(cache.path, writing=True)
    if cache.type == "inline":
        return cache.words(writing=True)
    return cache.words(writing=True, extra={**_EXPORT, **_format(cache, as_image=as_image)})


def folder_words(path: str, *, writing: bool) -> str:
    """Spell a folder for --cache-from or --cache-to."""
    if not writing:
        return go_csv.record("type=local", f"src={path}")
    return go_csv.record("type=local", f"dest={path}", *(f"{k}={v}" for k, v in _EXPORT.items()))


def _format(store: Store, *, as_image: bool) -> dict[str, str]:
    if store.type != "registry":
        return {}
    image = as_image and store.get("oci-mediatypes") is None  # an image manifest is an OCI one
    return {"oci-mediatypes": "true", **({"image-manifest": "true"} if image else {})}
