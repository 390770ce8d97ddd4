"""Which caches a build was asked for, on the command line and by the setting."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from poetry_docker_cache.buildx import engine as engines
from poetry_docker_cache.buildx.cache_folders import refuse_foreign
from poetry_docker_cache.buildx.cache_plan import CachePlan, CacheRequest, plan_caches
from poetry_docker_cache.buildx.cache_steps import Docker, hidden_paths, refuse_visible
from poetry_docker_cache.buildx.command_line import refuse_empty
from poetry_docker_cache.caches.backends import BadCache
from poetry_docker_cache.caches.spec import named_cache, parse_list, placed
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.system.compat import real_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from poetry_docker_cache.buildx.command_line import BuildRequest
    from poetry_docker_cache.buildx.engine_info import EngineInfo
    from poetry_docker_cache.caches.backends import Use
    from poetry_docker_cache.caches.spec import Cache
    from poetry_docker_cache.commands.build import BuildCommand
    from poetry_docker_cache.commands.planned_image import Prepared

_LOAD_SECONDS = 3600
_STDERR = 2
_SIGNALS = 128
"""Above it is the status of what a signal has ended."""


def decide_caches(
    command: BuildCommand, prepared: Prepared, request: BuildRequest, engine: EngineInfo
) -> CachePlan:
    """Decide on the caches of a build; raises DockerCacheError for what cannot be."""
    plan = plan_caches(
        _asked(command, prepared, request.tags), engine, tags=request.tags, environment=os.environ
    )
    context = real_path(prepared.context)
    for path in plan.paths:
        refuse_foreign(real_path(path), real_path(prepared.folder))
    plan = replace(plan, hidden=hidden_paths(plan.paths, context))
    if dockerfile := command.vendored():
        refuse_visible(plan.hidden, Path(dockerfile), context)
    return plan


def how_docker_is_called(command: BuildCommand, engine: EngineInfo) -> Docker:
    """Say how docker is called for the same engine, apart from the build."""
    named = command.option("builder") or os.environ.get("BUILDX_BUILDER")
    # A builder of this driver has the name of its context.
    context = ["--context", engine.builder] if named and engine.driver == "docker" else []
    return Docker(
        command=["docker", *context],
        run=_run_docker,
        ask=_asked_of_docker,
    )


def _run_docker(argv: Sequence[str]) -> int:
    """Run it with its output on stderr; a signal ends the command, as one ends a build."""
    status = engines.run(argv, output=_STDERR)
    if status > _SIGNALS:
        raise SystemExit(status)
    return status


def _asked_of_docker(argv: Sequence[str]) -> str:
    try:
        (answer,) = engines.ask([argv], seconds=_LOAD_SECONDS)
    except DockerCacheError:  # what is only a cache's costs no build
        return ""
    return answer.out if answer.status == 0 else ""


def _asked(command: BuildCommand, prepared: Prepared, tags: Sequence[str]) -> CacheRequest:
    given: str | None = command.option("cache")
    refuse_empty("--cache", [] if given is None else [given])
    setting = prepared.settings.cache and placed(prepared.settings.cache, prepared.folder)

    def own(caches: Iterable[Cache]) -> tuple[Cache, ...]:
        """For one of several images, each cache is one of its own."""
        if not prepared.image:
            return tuple(caches)
        return tuple(named_cache(prepared.image, it, setting=setting, tags=tags) for it in caches)

    both = own([] if given is None else _parsed("--cache", given, "both"))
    return CacheRequest(
        cache=both[0] if both else None,
        cache_from=own(_each(command, "cache-from", "from")),
        cache_to=own(_each(command, "cache-to", "to")),
        setting=setting,
        push=bool(command.option("push")),
    )


def _each(command: BuildCommand, option: str, use: Use) -> list[Cache]:
    given = command.many(option)
    refuse_empty(f"--{option}", given)
    return [cache for text in given for cache in _parsed(f"--{option}", text, use)]


def _parsed(option: str, text: str, use: Use) -> list[Cache]:
    try:
        return [placed(cache, Path.cwd()) for cache in parse_list(text, use)]
    except BadCache as error:
        shown = f" {text}" if error.quotable else ""
        raise DockerCacheError(
            f"{option}{shown} cannot be used: {error.why}.",
            fix=error.fix or "It takes an image's name, a folder (./…), or type=… with options.",
        ) from None
