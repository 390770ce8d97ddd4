"""The notes that commands print about the planned images."""

from __future__ import annotations

import json
import os
import posixpath
import shlex
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from poetry_docker_cache.commands.missing_files import refuse_missing_files
from poetry_docker_cache.commands.output_files import output_path
from poetry_docker_cache.docker.ignore_patterns import literal
from poetry_docker_cache.docker.image_names import image_slug
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.project.context_files import problem_paths
from poetry_docker_cache.project.git import git_problem, ignored_in_image
from poetry_docker_cache.project.root.poetry_core import BACKENDS
from poetry_docker_cache.render.exported_files import dockerfile_name, is_foreign
from poetry_docker_cache.render.own_template import template_notes
from poetry_docker_cache.settings.setting_errors import near_name_notes
from poetry_docker_cache.text import listing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from poetry_docker_cache.buildx.command_line import BuildRequest
    from poetry_docker_cache.commands.console import Console
    from poetry_docker_cache.commands.planned_image import PlannedImage


def sending_notes(image: PlannedImage) -> list[str]:
    """Return the note about links. Raises DockerCacheError for files that BuildKit cannot send."""
    plan = image.plan
    within = [wheel.located(path) for wheel in plan.wheels for path in wheel.copied]
    if plan.files:
        within += [plan.located(path) for path in plan.files.paths or (".",)]
    within += [each.source for each in plan.runtime.copies if each.image is None]
    within += [plan.located(path) for stage in plan.assets for path in stage.sources]
    links: list[str] = []
    for odd in problem_paths(image.context, within, image.ignore_file()):
        place = posixpath.relpath(odd.path, plan.folder)
        if odd.kind == "name":
            raise DockerCacheError(
                f"File name is not valid UTF-8: {place!r}. BuildKit cannot send it.",
                fix="Rename it.",
            )
        if odd.kind == "unreadable":
            raise _unreadable(place)
        links.append(place)
    note = (
        f"These links leave the build context: {listing(links)}. In the image, they point to the"
        " same paths, which may not exist there."
    )
    return [note] if links else []


def _unreadable(place: str) -> DockerCacheError:
    line = json.dumps(f"/{literal(place)}", ensure_ascii=False)
    ignore = f", or leave it out: `ignore = [{line}]` in [tool.poetry-docker-cache]"
    return DockerCacheError(
        f"No permission to read {place}. BuildKit would send an empty file, or fail if it is a"
        " folder.",
        fix=f"Make it readable{'' if place.startswith('../') else ignore}.",
    )


def print_notes(console: Console, images: Sequence[PlannedImage]) -> None:
    """Print each note once, after the names of its images unless it is about all of them.

    Raises DockerCacheError, before it prints anything, for files that the build would miss and for
    those that BuildKit cannot send.
    """
    for image in images:
        refuse_missing_files(image)
    found: dict[str, dict[str, None]] = {}
    for image in images:
        misnamed = near_name_notes(image.poetry.pyproject.data.get("tool", {}))
        seen = (*misnamed, *git_note(image), *_silent_note(image), *sending_notes(image))
        for note in (*image.plan.notes, *template_notes(image.plan), *seen):
            found.setdefault(note, {})[image.image] = None
    for note, names in found.items():
        console.note(note if len(names) == len(images) else f"{', '.join(names)}: {note}")


def name_notes(images: Sequence[PlannedImage], requests: Sequence[BuildRequest]) -> list[str]:
    """Return a note for each image whose default name is not simply the project's name."""
    notes = []
    for image, request in zip(images, requests, strict=True):
        slug = image_slug(image.title)
        is_usual = image.name and slug == canonicalize_name(image.name)
        is_used = any(tag.startswith(f"{slug}:") for tag in request.tags)
        if is_used and not image.settings.image and not is_usual:
            of = f"the project's name {image.name!r}" if image.name else "the project's folder"
            notes.append(f"The image is named {slug}, after {of}. Set `image` to change it.")
    return notes


def unused_notes(images: Sequence[PlannedImage]) -> list[str]:
    """Return a note for each Dockerfile of the project that `build` does not use."""
    notes = []
    for name in dict.fromkeys((*(dockerfile_name(image.image) for image in images), "Dockerfile")):
        file = images[0].folder / name
        if file.is_file() and os.access(file, os.R_OK) and is_foreign(file):
            path = output_path(None, file)
            image = [image.image for image in images if dockerfile_name(image.image) == name]
            words = ["poetry", "docker", "build", *filter(None, image[:1]), "--file", str(path)]
            notes.append(
                f"The image is not built from your own {path}. To build from it, run"
                f" `{shlex.join(words)}`."
            )
    return notes


def git_note(image: PlannedImage) -> list[str]:
    """Return the note about files that the image takes although git ignores them."""
    plan = image.plan
    wheels = [wheel for wheel in plan.wheels if wheel.lists_files_by_git]
    wheel_paths = [
        posixpath.relpath(wheel.located(path), plan.folder)
        for wheel in wheels
        for path in wheel.paths
    ]
    if plan.files is None and not wheel_paths:
        return []
    ignore = image.ignore_file()

    def taken(within: Sequence[str]) -> tuple[str, ...]:
        return ignored_in_image(image.folder, ignore, within, place=plan.folder)

    found = [*taken(plan.files.paths)] if plan.files else []
    if wheel_paths:  # setuptools packages all modules, even those that git ignores
        found += [
            file for file in taken(wheel_paths) if not file.endswith(".py") and file not in found
        ]
    note = (
        f"The image contains files that git ignores: {listing(found)}."
        " Set `ignore` to leave them out."
    )
    return [note] if found else []


def _silent_note(image: PlannedImage) -> list[str]:
    """Note that git could not say which of the files in `.gitignore` it tracks."""
    asks = any(wheel.git_ignored and wheel.backend in BACKENDS for wheel in image.plan.wheels)
    why = git_problem(image.folder) if asks else None
    note = (
        f"git cannot say which files it tracks ({why}): files of a package that match .gitignore"
        " are left out, even if git tracks them."
    )
    return [note] if why else []
