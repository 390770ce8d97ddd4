"""Refuses builds that would miss a file: one that the Dockerfile copies, or that the image starts.

BuildKit reports a missing file without the reason; a container fails only when it starts.
"""

from __future__ import annotations

import json
import os
import posixpath
from dataclasses import replace
from typing import TYPE_CHECKING

from poetry_docker_cache.docker.dockerfile_syntax import context_sources
from poetry_docker_cache.docker.ignore_patterns import (
    hiding_line,
    is_inside,
    literal,
    parse,
    reaches_into,
)
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.render.build_scripts import image_scripts
from poetry_docker_cache.render.dockerfile import render_dockerfile
from poetry_docker_cache.settings.setting_errors import TABLE
from poetry_docker_cache.text import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from poetry_docker_cache.commands.planned_image import PlannedImage


def refuse_missing_files(image: PlannedImage) -> None:
    """Raise DockerCacheError for a file that the build or the container would not find."""
    plan = image.plan
    added = (*plan.dependencies.instructions, *plan.runtime.instructions)
    if added or plan.template:
        text = render_dockerfile(plan, image_scripts(plan, place=None))
        for source in dict.fromkeys(context_sources(text)):
            is_setting = any(source in line for line in added)
            what = "`instructions`" if is_setting or not plan.template else plan.template.path
            _refuse_missing(image, source, f"{what} copies {source!r}")
    copied = (f"{each.source} {each.to}" for each in plan.runtime.copies)
    _refuse_missing_program(image, (*added, *copied))


def _refuse_missing(image: PlannedImage, source: str, what: str) -> None:
    """Raise DockerCacheError if a path, relative to the context, is not sent to the builder."""
    path = posixpath.normpath(f"/{source}").strip("/")
    if not path or set(path) & set("*?["):  # a pattern may match nothing
        return
    if not os.path.lexists(image.context / path):
        raise DockerCacheError(f"{what}, which does not exist.", fix=_right_path(image, path))
    if _is_hidden(image, path):
        raise DockerCacheError(
            f"{what}, which the ignore file excludes.", fix=_including(image, path)
        )


def _right_path(image: PlannedImage, path: str) -> str:
    place = image.plan.located(path)
    if os.path.lexists(image.context / place):
        return f"Write {place!r}: paths are relative to the build context, {image.context}."
    folder, name = posixpath.split(path)
    near = image.context / folder
    names = sorted(os.listdir(near)) if near.is_dir() else []  # noqa: PTH208  # names
    hint = did_you_mean(posixpath.join(folder, name), [posixpath.join(folder, n) for n in names])
    return f"{hint}Correct the path, which is relative to the build context."


def _is_hidden(image: PlannedImage, path: str) -> bool:
    """Return whether the ignore file surely excludes a path and, for a folder, all its content."""
    lines = [parse(line) for line in image.ignore_file().split("\n")]
    reached = any(line.negated and reaches_into(line.pattern, path) for line in lines)
    return hiding_line(lines, path) >= 0 and not reached


def _including(image: PlannedImage, path: str) -> str:
    """Return the lines of `ignore` that include a path, if there are any."""
    place = posixpath.relpath(path, image.plan.folder)
    name = f"!{literal(place)}"
    for lines in ((name,), (name, f"{name}/**")):
        ignore = (*image.plan.ignore, *lines)
        if not _is_hidden(replace(image, plan=replace(image.plan, ignore=ignore)), path):
            return f"Write `ignore = {_list(ignore)}` in {TABLE}."
    return "Move it to a folder that the ignore file can include, such as one in the project."


def _list(items: Sequence[str]) -> str:
    return json.dumps([*items], ensure_ascii=False)


def _refuse_missing_program(image: PlannedImage, added: Sequence[str]) -> None:
    """Raise DockerCacheError if the image starts a file of the project that it does not hold."""
    settings, plan = image.settings, image.plan
    key = "entrypoint" if settings.entrypoint else "command"
    program = (getattr(settings, key) or ("",))[0]
    name = posixpath.basename(program)
    # A relative path with a slash is one in the working directory; other lines may put it there.
    if "/" not in program or program.startswith("/") or plan.template:
        return
    if any(name in line for line in added):
        return
    path = posixpath.normpath(program)
    what = f"`{key}` in {TABLE} starts {program!r}, "
    if path.startswith("..") or not os.path.lexists(image.folder / path):
        raise DockerCacheError(
            f"{what}which does not exist in the project.",
            fix="Correct the path, which is relative to the project.",
        )
    paths = plan.files.paths if plan.files else ()
    if plan.files and not paths and _is_hidden(image, plan.located(path)):
        raise DockerCacheError(
            f"{what}which the ignore file excludes.", fix=_including(image, plan.located(path))
        )
    if not plan.files or (paths and not is_inside(path, paths)):
        raise DockerCacheError(
            f"{what}which the image does not contain.",
            fix=f"Write `files = {_list((*paths, path))}`.",
        )
