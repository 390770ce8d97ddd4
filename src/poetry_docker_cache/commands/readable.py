"""Whether this user may read what a build is to send."""

from __future__ import annotations

import json
import posixpath
from typing import TYPE_CHECKING

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.ignore.access import unreadable
from poetry_docker_cache.render import render_ignore_file

if TYPE_CHECKING:
    from poetry_docker_cache.commands.preparing import Prepared


def refuse_unreadable(prepared: Prepared) -> None:
    """Raise DockerCacheError for what the image takes and this user may not read."""
    plan = prepared.plan
    within = [wheel.located(path) for wheel in plan.wheels for path in wheel.copied]
    if plan.files:
        within += [plan.located(path) for path in plan.files.paths or (".",)]
    ignore = render_ignore_file(plan, plan.located("Dockerfile"), prepared.kept, prepared.beside)
    for path in unreadable(prepared.context, within, ignore):
        place = posixpath.relpath(path, plan.folder)
        line = json.dumps(f"/{place}", ensure_ascii=False)
        leaving_out = f", or leave it out: `ignore = [{line}]` in [tool.poetry-docker-cache]"
        raise DockerCacheError(
            f"This user may not read {place}. Of such a file the image would get an empty one,"
            " and at a folder the build would stop.",
            fix=f"Make it readable{'' if place.startswith('../') else leaving_out}.",
        )
