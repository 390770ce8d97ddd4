"""What an engine and a machine can do about a cache, told before the build. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from poetry_docker_cache.caches.spec import Store
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.image_names import is_reference, normalised

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from poetry_docker_cache.caches.spec import Cache
    from poetry_docker_cache.engine.info import EngineInfo

_DOCKER_HAS = ("registry", "local", "gha", "inline")
_NEW_BUILDER = "docker buildx create --name NAME --driver docker-container"


def is_classic(engine: EngineInfo) -> bool:
    """Whether the image store exports inline caches only."""
    return engine.driver == "docker" and engine.store == "classic"


def refuse_tag(cache: Cache, tags: Sequence[str]) -> None:
    """Raise for a cache that would be pushed where the image is."""
    reference = cache.reference if isinstance(cache, Store) else ""
    if not reference:
        return
    for tag in tags:
        if is_reference(tag) and normalised(tag) == normalised(reference):
            repository = normalised(reference).rpartition(":")[0]
            raise DockerCacheError(
                f"The cache {reference} is also the image's name {tag}: BuildKit would replace the "
                "image by the cache.",
                fix=f"Give the cache a name of its own, such as {repository}:cache.",
            )


def refuse_backend(store: Store, engine: EngineInfo, *, writes: bool) -> None:
    """Raise for a backend that the builder does not have: BuildKit tells only after the build."""
    if engine.driver != "docker":
        return
    if store.type not in _DOCKER_HAS:
        raise DockerCacheError(
            f"The builder {engine.builder!r} is the Docker engine itself, which has no cache of "
            f"the type {store.type}.",
            fix=f"Build on one that has: {_NEW_BUILDER}, then --builder NAME.",
        )
    if is_classic(engine) and (store.type == "gha" or (store.type == "local" and writes)):
        raise DockerCacheError(
            f"The engine's classic image store has no cache of the type {store.type}.",
            fix="Name an image or a folder (`--cache ./folder`), turn on the engine's containerd "
            f"image store, or build elsewhere: {_NEW_BUILDER}, then --builder NAME.",
        )


def is_inactive(store: Store, environment: Mapping[str, str]) -> bool:
    """Whether buildx would leave a cache of GitHub's out without a word."""
    if store.type != "gha":
        return False
    variables = ("ACTIONS_CACHE_URL", "ACTIONS_RESULTS_URL")
    has_url = any(store.get(name) for name in ("url", "url_v2")) or any(
        environment.get(name) for name in variables
    )
    return not (has_url and environment.get("ACTIONS_RUNTIME_TOKEN"))


def inactive_note(store: Store) -> str:
    """Say why a cache is left out."""
    return (
        f"No {store} cache: ACTIONS_RUNTIME_TOKEN or ACTIONS_RESULTS_URL is not set. A job of "
        "GitHub Actions gets them by crazy-max/ghaction-github-runtime."
    )
