"""Sizes from an existing image, read by its own Python."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import TYPE_CHECKING

from poetry_docker_cache.buildx.engine import ask, find
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.sizes.package_sizes import locked_sizes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from poetry_docker_cache.sizes.package_sizes import LockedPackage, Sizes


def image_sizes(image: str, packages: Sequence[LockedPackage]) -> Sizes:
    """Return the bytes of the packages that the image has in their locked versions.

    Raises DockerCacheError if the engine does not have the image or cannot run its Python.
    """
    if not image or image.startswith("-"):
        raise DockerCacheError(
            f"{image!r} is not the name of an image.", fix="Pass a name to --image."
        )
    script = files(__package__).joinpath("installed.py").read_text(encoding="utf-8")
    run = [find(), "run", "--rm", "--pull=never", "--network=none", "--entrypoint=python"]
    (answer,) = ask([[*run, image, "-I", "-c", script]])
    try:
        found = {name: (version, size) for name, (version, size) in json.loads(answer.out).items()}
    except (AttributeError, TypeError, ValueError):
        lines = [line for line in answer.err.splitlines() if line.strip()]
        said = next((line for line in lines if "rror" in line), lines[0] if lines else "no answer")
        raise DockerCacheError(
            f"The sizes cannot be read from the image {image}: {said.removeprefix('docker: ')}",
            fix="Build it with `poetry docker build`, or choose another one with `--image`.",
        ) from None
    return locked_sizes(packages, found)
