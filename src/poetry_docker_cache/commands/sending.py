"""Whether a build gets what is on this machine, of the files that it is sent."""

from __future__ import annotations

import json
import posixpath
from typing import TYPE_CHECKING

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.ignore.access import odd_paths
from poetry_docker_cache.ignore.rules import literal
from poetry_docker_cache.render import render_ignore_file
from poetry_docker_cache.wording import listing

if TYPE_CHECKING:
    from poetry_docker_cache.commands.preparing import Prepared


def sending_notes(prepared: Prepared) -> list[str]:
    """What is told of links; raises DockerCacheError for what BuildKit cannot take."""
    plan = prepared.plan
    within = [wheel.located(path) for wheel in plan.wheels for path in wheel.copied]
    if plan.files:
        within += [plan.located(path) for path in plan.files.paths or (".",)]
    ignore = render_ignore_file(plan, plan.located("Dockerfile"), prepared.kept, prepared.beside)
    links: list[str] = []
    for odd in odd_paths(prepared.context, within, ignore):
        place = posixpath.relpath(odd.path, plan.folder)
        if odd.kind == "name":
            raise DockerCacheError(
                f"The name of {place!r} is no UTF-8: BuildKit cannot take it.", fix="Rename it."
            )
        if odd.kind == "unreadable":
            raise _unreadable(place)
        links.append(place)
    told = (
        f"Links that lead out of the build context: {listing(links)}. In the image they lead to"
        " what is in their place there, if anything is."
    )
    return [told] if links else []


def _unreadable(place: str) -> DockerCacheError:
    line = json.dumps(f"/{literal(place)}", ensure_ascii=False)
    leaving_out = f", or leave it out: `ignore = [{line}]` in [tool.poetry-docker-cache]"
    return DockerCacheError(
        f"This user may not read {place}. Of such a file the image would get an empty one, and at a"
        " folder the build would stop.",
        fix=f"Make it readable{'' if place.startswith('../') else leaving_out}.",
    )
