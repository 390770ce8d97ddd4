"""Plan which caches a build reads and writes on an engine, and how. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from poetry_docker_cache.caches.spec import Folder, Store, folders_of, read_words, write_words
from poetry_docker_cache.docker.image_names import is_reference, normalised
from poetry_docker_cache.errors import DockerCacheError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from poetry_docker_cache.buildx.engine_info import EngineInfo
    from poetry_docker_cache.caches.spec import Cache


_DOCKER_HAS = ("registry", "local", "gha", "inline")
_NEW_BUILDER = "docker buildx create --name NAME --driver docker-container"


def is_classic(engine: EngineInfo) -> bool:
    """Return whether the image store exports inline caches only."""
    return engine.driver == "docker" and engine.store == "classic"


def refuse_tag(cache: Cache, tags: Sequence[str]) -> None:
    """Raise DockerCacheError for a cache with the name of the image."""
    reference = cache.reference if isinstance(cache, Store) else ""
    if not reference:
        return
    for tag in tags:
        if is_reference(tag) and normalised(tag) == normalised(reference):
            repository = normalised(reference).rpartition(":")[0]
            raise DockerCacheError(
                f"The cache {reference} has the same name as the image {tag}: BuildKit would "
                "replace the image with the cache.",
                fix=f"Give the cache another name, such as {repository}:cache.",
            )


def refuse_backend(store: Store, engine: EngineInfo, *, writes: bool) -> None:
    """Raise DockerCacheError for an unsupported backend, which BuildKit reports after the build."""
    if engine.driver != "docker":
        return
    if store.type not in _DOCKER_HAS:
        raise DockerCacheError(
            f"The builder {engine.builder!r} is the Docker engine itself, which does not support "
            f"caches of type {store.type}.",
            fix=f"Create another builder ({_NEW_BUILDER}) and pass --builder NAME.",
        )
    if is_classic(engine) and (store.type == "gha" or (store.type == "local" and writes)):
        raise DockerCacheError(
            f"The engine's classic image store does not support caches of type {store.type}.",
            fix="Use an image or a folder (`--cache ./folder`), turn on the engine's containerd "
            f"image store, or create another builder ({_NEW_BUILDER}) and pass --builder NAME.",
        )


def is_inactive(store: Store, environment: Mapping[str, str]) -> bool:
    """Return whether buildx would silently ignore a cache on GitHub Actions."""
    if store.type != "gha":
        return False
    variables = ("ACTIONS_CACHE_URL", "ACTIONS_RESULTS_URL")
    has_url = any(store.get(name) for name in ("url", "url_v2")) or any(
        environment.get(name) for name in variables
    )
    return not (has_url and environment.get("ACTIONS_RUNTIME_TOKEN"))


def inactive_note(store: Store) -> str:
    """Return the note about an ignored cache."""
    return (
        f"No {store} cache: ACTIONS_RUNTIME_TOKEN or ACTIONS_RESULTS_URL is not set. In GitHub "
        "Actions, add a step with crazy-max/ghaction-github-runtime."
    )


_IMAGE_MANIFEST = (1, 6)
"""The frontend of BuildKit 0.12, the first that can write a cache as an image, as ECR needs."""


@dataclass(frozen=True, kw_only=True)
class CacheRequest:
    """The caches in the options and the setting, with absolute folders."""

    cache: Cache | None = None
    cache_from: tuple[Cache, ...] = ()
    cache_to: tuple[Cache, ...] = ()
    setting: Cache | None = None
    push: bool = False

    @property
    def imports(self) -> tuple[Cache, ...]:
        """The caches to read, in this order: `--cache`, `--cache-from`, the setting."""
        asked = (self.cache, *self.cache_from, self.setting)
        return tuple(dict.fromkeys(cache for cache in asked if cache is not None))

    @property
    def exports(self) -> tuple[Cache, ...]:
        """The caches to write; the setting only with --push and without any cache option."""
        asked = tuple(cache for cache in (self.cache, *self.cache_to) if cache is not None)
        if not asked and not self.cache_from and self.push and self.setting is not None:
            return (self.setting,)
        return tuple(dict.fromkeys(asked))


@dataclass(frozen=True, kw_only=True)
class CachePlan:
    """The caches that BuildKit reads and writes, and those that need steps of their own."""

    imports: tuple[str | Folder, ...] = ()
    """For --cache-from; a folder is read through a private copy (`cache_folders`)."""
    exports: tuple[str | Folder, ...] = ()
    """For --cache-to."""
    loaded: tuple[Folder, ...] = ()
    """Folders with a saved image, which the classic store loads before the build."""
    saved: tuple[Folder, ...] = ()
    """Folders to save the image to after the build."""
    pushed: tuple[str, ...] = ()
    """Names under which the image is pushed after the build, because it contains the cache."""
    image: str = ""
    """The image's name, for pushing and saving it."""
    notes: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    """The folders in the build context, relative to it."""
    local: tuple[str, ...] = ()
    """The folders of `type=local`, which BuildKit uses directly."""

    @property
    def paths(self) -> tuple[Path, ...]:
        """All folders on this machine with a cache of this build."""
        return tuple(map(Path, (*(folder.path for folder in self.folders), *self.local)))

    @property
    def folders(self) -> tuple[Folder, ...]:
        """All folders that are read or written through a copy or an image."""
        several = (*self.imports, *self.exports, *self.loaded, *self.saved)
        return tuple(dict.fromkeys(cache for cache in several if isinstance(cache, Folder)))


def plan_caches(
    request: CacheRequest,
    engine: EngineInfo,
    *,
    tags: Sequence[str],
    environment: Mapping[str, str],
) -> CachePlan:
    """Plan the caches. Raises DockerCacheError for unsupported or harmful ones."""
    for cache in request.exports:
        refuse_tag(cache, tags)
    notes: list[str] = []
    usable = _usable(request, engine, environment, notes)
    imports = _readable([cache for cache in request.imports if cache in usable], tags)
    exports = [cache for cache in request.exports if cache in usable]
    stores = [cache for cache in usable if isinstance(cache, Store)]
    if not imports and not exports:
        return CachePlan(notes=tuple(notes))
    if is_classic(engine):
        plan = _classic(imports, exports, tags=tags, notes=notes)
        return replace(plan, local=_local_folders(stores))
    idle = None if request.push or request.cache_from else request.setting
    notes.append(_line(imports, exports, idle=idle))
    return CachePlan(
        imports=tuple(dict.fromkeys(map(_import, imports))),
        exports=tuple(_export(cache, engine) for cache in exports),
        notes=tuple(notes),
        local=_local_folders(stores),
    )


def _usable(
    request: CacheRequest, engine: EngineInfo, environment: Mapping[str, str], notes: list[str]
) -> list[Cache]:
    """Return the usable caches, with notes on the others.

    Raises DockerCacheError for an unsupported cache, unless it is only read because of the setting.
    """
    found: list[Cache] = []
    for cache in dict.fromkeys((*request.imports, *request.exports)):
        if isinstance(cache, Store) and is_inactive(cache, environment):
            notes.append(inactive_note(cache))
            continue
        try:
            if isinstance(cache, Store):
                refuse_backend(cache, engine, writes=cache in request.exports)
        except DockerCacheError as error:
            if cache != request.setting or cache in request.exports:
                raise
            # CI may have a builder that supports it.
            notes.append(f"The setting `cache` is not read: {error.problem}")
            continue
        found.append(cache)
    return found


def _local_folders(stores: Iterable[Store]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(path for store in stores for path in folders_of(store)))


def _import(cache: Cache) -> str | Folder:
    return cache if isinstance(cache, Folder) else read_words(cache)


def _export(cache: Cache, engine: EngineInfo) -> str | Folder:
    knows = engine.frontend is None or engine.frontend >= _IMAGE_MANIFEST
    return cache if isinstance(cache, Folder) else write_words(cache, as_image=knows)


def _readable(caches: Iterable[Cache], tags: Sequence[str]) -> list[Cache]:
    """Replace `type=inline` by the names of the image, which contains that cache."""
    result: list[Cache] = []
    for cache in caches:
        if isinstance(cache, Store) and cache.type == "inline":
            # A name without `/` was never pushed.
            named = [tag for tag in tags if "/" in tag]
            result += [Store(type="registry", options=(("ref", tag),)) for tag in named]
        else:
            result.append(cache)
    return list(dict.fromkeys(result))


def _classic(
    imports: Sequence[Cache], exports: Sequence[Cache], *, tags: Sequence[str], notes: list[str]
) -> CachePlan:
    """Put the cache into the image, the only export that the classic store supports."""
    stores = [cache for cache in exports if isinstance(cache, Store)]
    references = tuple(store.reference for store in stores if store.reference)
    folders = tuple(cache for cache in exports if isinstance(cache, Folder))
    if exports:
        where = [*references, *(folder.written or folder.path for folder in folders)]
        carrier = f"the image at {', '.join(where)}" if where else "the image itself"
        notes.append(
            "The engine's classic image store exports inline caches only: "
            f"{carrier} contains the cache."
        )
    else:
        notes.append(_line(imports, exports, idle=None))
    return CachePlan(
        imports=tuple(dict.fromkeys(map(_import, imports))),
        exports=("type=inline",) if exports else (),
        loaded=tuple(cache for cache in imports if isinstance(cache, Folder)),
        saved=folders,
        pushed=references,
        image=tags[0] if tags else "",
        notes=tuple(notes),
    )


def _line(imports: Sequence[Cache], exports: Sequence[Cache], *, idle: Cache | None) -> str:
    """Return the note about what is read and written."""
    written = [f"{cache}{_stages(cache)}" for cache in exports]
    places = set(map(str, exports))
    only_read = [name for name in dict.fromkeys(map(str, imports)) if name not in places]
    if not written:
        writes = "; --push writes it" if idle in imports else ""
        return f"Cache: {', '.join(only_read)}: only read{writes}."
    also = f"; only read: {', '.join(only_read)}" if only_read else ""
    return f"Cache: {', '.join(written)}{also}."


def _stages(cache: Cache) -> str:
    if isinstance(cache, Store) and (cache.type == "inline" or cache.get("mode") == "min"):
        return ", the final stage"
    return ", all stages (mode=max)"
