"""The temporary files of a build."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from poetry_docker_cache.buildx.hidden_folders import hidden_paths
from poetry_docker_cache.buildx.steps import AUTH_FILE
from poetry_docker_cache.render.dockerfile import render_dockerfile, render_ignore_file
from poetry_docker_cache.render.exported_files import dockerfile_name, with_banner

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from poetry_docker_cache.buildx.engine_info import EngineInfo
    from poetry_docker_cache.commands.planned_image import PlannedImage


def render_files(
    images: Sequence[PlannedImage],
    *,
    hidden: Mapping[str, Sequence[str]],
    secret: str,
    engine: EngineInfo,
    vendored: bool,
) -> dict[str, str]:
    """Give the texts of all files by their paths in the build's private folder.

    `hidden` are the paths that each image's build keeps or writes in its context: no image gets to
    see any of them. A vendored Dockerfile has files of its own.
    """
    files = {AUTH_FILE: secret}
    for image in [] if vendored else images:
        name = dockerfile_name(image.image)
        plan = image.plan
        if image.settings.syntax == "auto" and engine.frontend_is_enough:
            plan = replace(plan, syntax=None)
        unseen = _unseen(image, images, hidden)
        ignore = render_ignore_file(plan, plan.located("Dockerfile"), unseen, image.beside)
        files[f"build/{name}"] = with_banner(render_dockerfile(plan), syntax=plan.syntax)
        files[f"build/{name}.dockerignore"] = with_banner(ignore)
    return files


def _unseen(
    image: PlannedImage, images: Sequence[PlannedImage], hidden: Mapping[str, Sequence[str]]
) -> tuple[str, ...]:
    """List what an image's build must not see, as its context names it."""
    every = [other.context / path for other in images for path in hidden[other.image]]
    own = (*hidden[image.image], *hidden_paths(every, image.context.resolve()))
    return tuple(dict.fromkeys(own))
