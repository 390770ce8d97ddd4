"""The images that the stages start from: references, read for what their names tell."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from poetry_docker_cache.errors import DockerCacheError

if TYPE_CHECKING:
    from poetry_docker_cache.python import Python
    from poetry_docker_cache.settings import Settings

_OFFICIAL = re.compile(
    r"(?P<repository>(?:.*/)?python):(?P<python>\d+\.\d+(?:\.\d+)?)(?P<slim>-slim)?(?P<suite>-.+)?"
)


def final_image(settings: Settings, python: Python) -> str:
    """The base of the final image.

    Raises DockerCacheError where its name has another Python than the image is to have.
    """
    image = settings.base_image.replace("{python}", python.tag)
    if _python(image) not in {None, python.short}:
        raise DockerCacheError(
            f"`base-image` {image} has Python {_python(image)}, but the packages would be installed"
            f" for {python.short} ({python.reason}).",
            fix="Write `{python}` in place of the version in `base-image`, or set `python` to it.",
        )
    return image


def build_image(settings: Settings, python: Python, base: str) -> str:
    """The image for what must be built from source: the full one of the base's suite.

    A base that is not an official Python image has no full one that its name tells: it serves
    itself. Raises DockerCacheError for a `build-image` that cannot fit the base.
    """
    if settings.build_image is None:
        match = _OFFICIAL.fullmatch(base)
        if not match:
            return base
        return f"{match['repository']}:{match['python']}{match['suite'] or ''}"
    image = settings.build_image.replace("{python}", python.tag)
    for what, of in (("Python", _python), ("C library", libc)):
        ours, theirs = of(base), of(image)
        if ours and theirs and ours != theirs:
            raise DockerCacheError(
                f"`build-image` {image} has another {what} ({theirs}) than the final image {base}"
                f" ({ours}): what is built on the one does not run on the other.",
                fix="Set `build-image` in [tool.poetry-docker-cache] to one that fits, or drop it.",
            )
    return image


def _python(image: str) -> str | None:
    match = _OFFICIAL.fullmatch(image.partition("@")[0])
    return ".".join(match["python"].split(".")[:2]) if match else None


def libc(image: str) -> str | None:
    """The C library of an image, glibc or musl, as far as its name tells."""
    if "alpine" in image:
        return "musl"
    return "glibc" if _OFFICIAL.fullmatch(_with_python(image).partition("@")[0]) else None


def is_debian(image: str) -> bool:
    """Whether the image is known to have Debian's packages."""
    return libc(image) == "glibc"


def _with_python(image: str) -> str:
    """The name with some Python filled in."""
    return image.replace("{python}", "3.12")
