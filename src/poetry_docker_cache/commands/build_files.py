"""The temporary files of a build."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from poetry_docker_cache.buildx.hidden_folders import hidden_paths
from poetry_docker_cache.buildx.steps import SCRIPTS
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.render.build_scripts import SCRIPTS_FOLDER, image_scripts
from poetry_docker_cache.render.dockerfile import render_dockerfile
from poetry_docker_cache.render.exported_files import dockerfile_name, with_banner
from poetry_docker_cache.system.outward_links import refuse_outward_links

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from poetry_docker_cache.buildx.engine_info import EngineInfo
    from poetry_docker_cache.commands.planned_image import PlannedImage


def render_files(
    images: Sequence[PlannedImage],
    *,
    hidden: Mapping[str, Sequence[str]],
    secrets: Mapping[str, str],
    engine: EngineInfo,
    vendored: str | None,
) -> dict[str, str]:
    """Return the texts of all files, by path in the build's private folder.

    `hidden` are the paths that each image's build keeps or writes in its context; they are excluded
    from all builds. `secrets` are texts by path. A vendored Dockerfile has its own ignore file, and
    scripts in the same folder.
    """
    files = {**secrets}
    if vendored:
        texts = scripts_beside(Path(vendored))
        return files | {f"{SCRIPTS}/{name}": text for name, text in texts.items()}
    for image in images:
        name = dockerfile_name(image.image)
        plan = image.plan
        if image.settings.syntax == "auto" and engine.has_frontend(plan.needed_frontend):
            plan = replace(plan, syntax=None)
        ignore = image.ignore_file(hidden=_unseen(image, images, hidden))
        scripts = image_scripts(plan)
        files |= {f"{SCRIPTS}/{path}": text for path, text in scripts.texts.items()}
        files[f"build/{name}"] = with_banner(render_dockerfile(plan, scripts), syntax=plan.syntax)
        files[f"build/{name}.dockerignore"] = with_banner(ignore)
    return files


def read_vendored(dockerfile: str | None) -> str:
    """Return the text of the user's own Dockerfile; empty without one, and for standard input."""
    if dockerfile is None or dockerfile == "-":
        return ""
    return Path(dockerfile).read_text(encoding="utf-8", errors="replace")


def scripts_beside(dockerfile: Path) -> dict[str, str]:
    """Return the texts of the exported scripts beside a Dockerfile, by path.

    Raises DockerCacheError if a script cannot be read, or is a link to a file elsewhere.
    """
    folder = dockerfile.with_name(SCRIPTS_FOLDER)
    found = (*folder.rglob("*.py"), *folder.glob("pins/*.txt"))
    paths = sorted(path for path in found if path.is_file())
    refuse_outward_links([folder, *paths], dockerfile.absolute().parent)
    try:
        return {path.relative_to(folder).as_posix(): path.read_text("utf-8") for path in paths}
    except (OSError, UnicodeDecodeError) as error:
        raise DockerCacheError(
            f"{folder} cannot be read: {error}.",
            fix="Export the Dockerfile again: `poetry docker export --force`.",
        ) from error


def _unseen(
    image: PlannedImage, images: Sequence[PlannedImage], hidden: Mapping[str, Sequence[str]]
) -> tuple[str, ...]:
    """List the paths, relative to the context, that must stay out of an image's build."""
    every = [other.context / path for other in images for path in hidden[other.image]]
    own = (*hidden[image.image], *hidden_paths(every, image.context.resolve()))
    return tuple(dict.fromkeys(own))
