"""The notes that commands print about the planned images."""

from __future__ import annotations

import json
import posixpath
from typing import TYPE_CHECKING

from poetry_docker_cache.docker.ignore_patterns import literal
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.project.context_files import odd_paths
from poetry_docker_cache.project.git import let_through, why_silent
from poetry_docker_cache.project.root.poetry_core import BACKENDS
from poetry_docker_cache.render.dockerfile import render_ignore_file
from poetry_docker_cache.render.own_template import template_notes
from poetry_docker_cache.text import listing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from poetry_docker_cache.commands.docker_command import DockerCommand
    from poetry_docker_cache.commands.planned_image import Prepared


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


def tell(command: DockerCommand, images: Sequence[Prepared]) -> None:
    """Say each note once, and of which image it is where that is not all of them.

    Raises DockerCacheError, before it says anything, as `sending_notes` does.
    """
    told: dict[str, dict[str, None]] = {}
    for it in images:
        seen = (*_git_note(it), *_silent_note(it), *sending_notes(it))
        for note in (*it.plan.notes, *template_notes(it.plan), *seen):
            told.setdefault(note, {})[it.image] = None
    for note, names in told.items():
        command.note(note if len(names) == len(images) else f"{', '.join(names)}: {note}")


def _git_note(prepared: Prepared) -> list[str]:
    plan = prepared.plan
    wheels = [it for it in plan.wheels if it.lists_files_by_git]
    beside = [
        posixpath.relpath(it.located(path), plan.folder) for it in wheels for path in it.paths
    ]
    if plan.files is None and not beside:
        return []
    dockerfile = plan.located("Dockerfile")
    ignore = render_ignore_file(plan, dockerfile, prepared.kept, prepared.beside)

    def taken(within: Sequence[str]) -> tuple[str, ...]:
        return let_through(prepared.folder, ignore, within, place=plan.folder)

    found = [*taken(plan.files.paths)] if plan.files else []
    if beside:  # setuptools takes all modules, whatever git says
        found += [it for it in taken(beside) if not it.endswith(".py") and it not in found]
    told = f"The image takes what git ignores: {listing(found)}; `ignore` leaves it out."
    return [told] if found else []


def _silent_note(prepared: Prepared) -> list[str]:
    """What only git knows: the files that `.gitignore` names and yet are in the repository."""
    asks = any(it.git_ignored and it.backend in BACKENDS for it in prepared.plan.wheels)
    why = why_silent(prepared.folder) if asks else None
    told = (
        f"Nobody says which files git tracks ({why}): those of a package that .gitignore names all"
        " the same are left out."
    )
    return [told] if why else []
