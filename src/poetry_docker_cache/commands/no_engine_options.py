"""Options of `poetry docker build` that mean something else, or nothing, without an engine."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from poetry_docker_cache.commands.no_engine_output import find_loader
from poetry_docker_cache.docker.image_names import is_reference
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.no_engine.obstacles import Obstacle
from poetry_docker_cache.registry.registry_client import Reference
from poetry_docker_cache.report.metadata_file import refuse_unwritable
from poetry_docker_cache.system.outward_links import refuse_outward_links

if TYPE_CHECKING:
    from collections.abc import Sequence

    from poetry_docker_cache.buildx.command_line import BuildRequest
    from poetry_docker_cache.commands.options import BuildOptions
    from poetry_docker_cache.commands.planned_image import PlannedImage

_OTHER_PROGRESS = {"quiet": "Use `-q`", "rawjson": "Use `--metadata-file`"}


def option_obstacles(options: BuildOptions) -> tuple[Obstacle, ...]:
    """List the options that only an engine understands."""
    given = {
        "--file": options.file,
        "--target": options.target,
        "--builder": options.builder,
        "--ssh": " ".join(options.ssh),
        "--": shlex.join(options.after_dashes),
    }
    found = [
        _for_buildkit(option, value, "Remove it" if option == "--" else f"Remove `{option}`")
        for option, value in given.items()
        if value
    ]
    for option, given_too in {"--dev": options.variant, "--test": options.tests_first}.items():
        if given_too:
            what = f"`{option}` runs and builds further stages of the Dockerfile"
            fix = f"Remove `{option}`, or `--no-engine`"
            found.append(Obstacle(reason="other", what=what, fix=fix))
    style = options.progress or ""
    if style in _OTHER_PROGRESS and not options.quiet:
        found.append(_for_buildkit("--progress", style, _OTHER_PROGRESS[style]))
    if options.cache_to:
        instead = "Remove it: a pushed image is a cache, and `--cache IMAGE` names it"
        found.append(_for_buildkit("--cache-to", " ".join(options.cache_to), instead))
    found += [
        Obstacle(
            reason="other",
            what=f"`{text}` is not an image: without BuildKit, only images are a cache",
            fix="Name an earlier image, such as `--cache registry.example.com/team/shop:main`",
        )
        for text in cache_options(options)
        if not is_reference(text)
    ]
    return tuple(found)


def _for_buildkit(option: str, value: str, fix: str) -> Obstacle:
    return Obstacle(reason="other", what=f"`{option} {value}` is for BuildKit", fix=fix)


def cache_options(options: BuildOptions) -> tuple[str, ...]:
    """Return the values of `--cache` and `--cache-from`."""
    return (*([] if options.cache is None else [options.cache]), *options.cache_from)


def refuse_without_output(
    options: BuildOptions,
    images: Sequence[PlannedImage],
    requests: Sequence[BuildRequest],
    platforms: Sequence[Sequence[str]],
) -> None:
    """Raise DockerCacheError if the image would go nowhere, or where it cannot go."""
    for request in requests:
        for tag in request.tags:
            if Reference.parse(tag).digest and options.push:
                raise DockerCacheError(
                    f"-t {tag} has a digest, which a push cannot choose.", fix="Use a tag instead."
                )
    if not (options.push or options.load or options.output is not None):
        raise DockerCacheError(
            "Without a container engine, the image needs a destination.",
            fix="Add --push for its registry, --output image.tar for an archive, or --load for"
            " Docker or Podman on this machine.",
        )
    if options.load and any(len(names) > 1 for names in platforms):
        raise DockerCacheError(
            "--load loads an image for one platform.", fix="Choose one with --platform."
        )
    if options.load:
        find_loader()
    if options.output is None:
        return
    if len(images) > 1:
        raise DockerCacheError(
            "--output writes one image, but several are built:"
            f" {', '.join(image.image for image in images)}.",
            fix=f"Build one of them: `poetry docker build {images[0].image} --output …`.",
        )
    refuse_unwritable(options.output, "--output")
    refuse_outward_links([Path(options.output)], images[0].folder)
