"""What the image is called: by the settings, by the project, by `-t`. Pure."""

from __future__ import annotations

import re

from packaging.utils import canonicalize_name

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.image_names import is_tag

_REPOSITORY = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


def default_tag(
    name: str | None, version: str | None, *, image: str | None = None, among: str = ""
) -> str:
    """Name the image after the `image` setting, or else the project, and its version.

    `among` is what it is called among several, of which -t names one only. Raises DockerCacheError
    where there is no name, or where Docker takes none like it.
    """
    tag = re.sub(r"[+!]", "-", version) if version else "latest"
    if not is_tag(tag):
        raise DockerCacheError(
            f"The version {version!r} cannot be an image's tag: those have at most 128 letters, "
            "digits, '_', '.' and '-', and begin with none of the last two.",
            fix="Name the image and its tag with -t"
            + (f": `poetry docker build {among} -t NAME:TAG`." if among else "."),
        )
    last = (image or "").rpartition("/")[2]
    if ":" in last or "@" in last:
        raise DockerCacheError(
            f"image = {image!r} has a tag or digest already; the tag is the project's version.",
            fix="Leave it out of `image`, or name image and tag with -t.",
        )
    return f"{image or _repository(name, among)}:{tag}"


def tagged(own: str, given: str) -> str:
    """Name an image as `-t` says: by a whole name, or by a tag alone, which is one of its own name.

    >>> tagged("team/shop:1.2.3", ":dev")
    'team/shop:dev'

    Raises DockerCacheError for what begins as such a tag and is none.
    """
    if not given.startswith(":"):
        return given
    if not is_tag(given[1:]):
        raise DockerCacheError(
            f"-t {given!r} is a colon without a tag: those have at most 128 letters, digits, '_',"
            " '.' and '-', and begin with none of the last two.",
            fix="Give a tag alone (`-t :TAG`), or a whole name (`-t NAME:TAG`). A variable in a"
            " script may be unset.",
        )
    return f"{own.rpartition(':')[0]}{given}"


def _repository(name: str | None, among: str) -> str:
    """Make a repository name of a project's name."""
    likely = re.sub("[^a-z0-9]+", "-", (name or "").lower()).strip("-")
    setting = f'`image = "{likely}"`' if likely else "`image`"
    ask_for = (
        f"Set {setting} in [tool.poetry-docker-cache.images.{among}]."
        if among
        else f"Set {setting} in [tool.poetry-docker-cache], or name the image with -t."
    )
    if not name:
        raise DockerCacheError("The project has no name, so neither has the image.", fix=ask_for)
    repository = canonicalize_name(name)
    if not _REPOSITORY.fullmatch(repository):
        raise DockerCacheError(
            f"The project's name {name!r} cannot be the name of an image.", fix=ask_for
        )
    return repository
