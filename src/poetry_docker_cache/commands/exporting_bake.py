"""The file of `poetry docker export --bake`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from poetry_docker_cache.bake_file import BakeTarget, render_bake_file
from poetry_docker_cache.caches.abilities import refuse_tag
from poetry_docker_cache.caches.spec import folders_of
from poetry_docker_cache.tags import default_tag
from poetry_docker_cache.vendor import BAKE_FILE, EXPORT, dockerfile_name, with_banner

if TYPE_CHECKING:
    from collections.abc import Sequence

    from poetry_docker_cache.commands.preparing import Prepared


def bake_file(images: Sequence[Prepared]) -> str:
    """The file for these images, with its banner.

    Raises DockerCacheError for a cache that would be pushed where the image is.
    """
    targets, tag = [], ""
    for it in images:
        name = default_tag(it.name, it.version, image=it.settings.image, among=it.image)
        if it.settings.cache:
            refuse_tag(it.settings.cache, [name])
        repository, _, tag = name.rpartition(":")
        targets.append(_target(it, repository))
    return with_banner(render_bake_file(targets, tag=tag), command=f"{EXPORT} --bake")


def bake_notes(images: Sequence[Prepared]) -> list[str]:
    """What is told of what the file cannot have."""
    names = ", ".join(it.image for it in images if _is_at_home(it))
    told = (
        f"{BAKE_FILE} has no cache for {names}: bake does not know which folder `~` is."
        " `cache` can name one without it, and so can `--set`."
    )
    return [told] if names else []


def _target(prepared: Prepared, repository: str) -> BakeTarget:
    plan, settings = prepared.plan, prepared.settings
    return BakeTarget(
        name=prepared.image,
        context=Path(os.path.relpath(prepared.context, prepared.folder)).as_posix(),
        dockerfile=plan.located(dockerfile_name(prepared.image)),
        repository=repository,
        platforms=settings.platforms,
        cache=None if _is_at_home(prepared) else settings.cache,
        ssh=plan.dependencies.ssh,
        version=plan.version,
    )


def _is_at_home(prepared: Prepared) -> bool:
    """Whether the cache is in the home folder of whoever builds."""
    cache = prepared.settings.cache
    return any(path.startswith("~") for path in (folders_of(cache) if cache else ()))
