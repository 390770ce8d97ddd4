"""The caches of a build, from the command line and the setting."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from poetry_docker_cache.buildx.cache_folders import refuse_foreign
from poetry_docker_cache.buildx.cache_plan import CachePlan, CacheRequest, plan_caches
from poetry_docker_cache.buildx.command_line import refuse_empty
from poetry_docker_cache.buildx.hidden_folders import hidden_paths, refuse_visible
from poetry_docker_cache.caches.backends import BadCache
from poetry_docker_cache.caches.spec import named_cache, parse_list, placed
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.system.compat import real_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from poetry_docker_cache.buildx.engine_info import EngineInfo
    from poetry_docker_cache.caches.backends import Use
    from poetry_docker_cache.caches.spec import Cache
    from poetry_docker_cache.commands.options import BuildOptions
    from poetry_docker_cache.commands.planned_image import PlannedImage


def decide_caches(
    options: BuildOptions, image: PlannedImage, tags: Sequence[str], engine: EngineInfo
) -> CachePlan:
    """Decide on the caches of an image. Raises DockerCacheError for an unusable one."""
    plan = plan_caches(
        _cache_request(options, image, tags), engine, tags=tags, environment=os.environ
    )
    context = real_path(image.context)
    for path in plan.paths:
        refuse_foreign(real_path(path), real_path(image.folder))
    plan = replace(plan, hidden=hidden_paths(plan.paths, context))
    if options.file:
        refuse_visible(plan.hidden, Path(options.file), context)
    return plan


def _cache_request(options: BuildOptions, image: PlannedImage, tags: Sequence[str]) -> CacheRequest:
    setting = image.settings.cache and placed(image.settings.cache, image.folder)

    def separate(caches: Iterable[Cache]) -> tuple[Cache, ...]:
        """Give each of several images a separate cache."""
        if not image.image:
            return tuple(caches)
        return tuple(
            named_cache(image.image, cache, setting=setting, tags=tags) for cache in caches
        )

    both = separate(_parse("--cache", [] if options.cache is None else [options.cache], "both"))
    return CacheRequest(
        cache=both[0] if both else None,
        cache_from=separate(_parse("--cache-from", options.cache_from, "from")),
        cache_to=separate(_parse("--cache-to", options.cache_to, "to")),
        setting=setting,
        push=options.push,
    )


def _parse(option: str, values: Sequence[str], use: Use) -> list[Cache]:
    refuse_empty(option, values)
    return [cache for text in values for cache in _parsed(option, text, use)]


def _parsed(option: str, text: str, use: Use) -> list[Cache]:
    try:
        return [placed(cache, Path.cwd()) for cache in parse_list(text, use)]
    except BadCache as error:
        shown = f" {text}" if error.quotable else ""
        raise DockerCacheError(
            f"{option}{shown} cannot be used: {error.why}.",
            fix=error.fix or "Give an image name, a folder (./…), or type=… with options.",
        ) from None
