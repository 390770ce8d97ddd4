"""The settings that name an image; see `settings.values`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, NoReturn

from poetry_docker_cache.settings.values import line

if TYPE_CHECKING:
    from poetry_docker_cache.settings.errors import Spot

# The grammar of image references: github.com/distribution/reference.
_HOST_PART = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_HOST = re.compile(
    rf"(?:{_HOST_PART}(?:\.{_HOST_PART})*|\[[0-9a-f:]+\])(?::[0-9]{{1,5}})?", re.IGNORECASE
)
_PATH_PART = re.compile(r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128}")
_IMAGE_ID = re.compile(r"[0-9a-f]{64}")
_LONGEST_NAME = 255


def is_repository(text: str) -> bool:
    """Say whether this is the name of an image without tag and digest."""
    host, slash, path = text.partition("/")
    if slash and (host == "localhost" or "." in host or ":" in host):
        host_is_good = _HOST.fullmatch(host) is not None
    else:
        host_is_good, path = True, text
    parts = path.split("/")
    return (
        len(text) <= _LONGEST_NAME
        and host_is_good
        and all(_PATH_PART.fullmatch(part) for part in parts)
        and not _IMAGE_ID.fullmatch(text)
    )


def is_reference(text: str) -> bool:
    """Say whether this is the name of an image, a tag and a digest allowed."""
    tagged, at, digest = text.partition("@")
    folder, slash, last = tagged.rpartition("/")
    base, colon, tag = last.partition(":")
    return (
        is_repository(folder + slash + base)
        and (not colon or _TAG.fullmatch(tag) is not None)
        and (not at or _DIGEST.fullmatch(digest) is not None)
    )


def repository(spot: Spot, value: object) -> str:
    """Read the name of the image that is built."""
    content = line(spot, value)
    if is_repository(content):
        return content
    why = "that is not the name of a repository"
    if "://" in content:
        why = "a repository's name has no scheme"
    elif is_reference(content):
        why = "the tag is not part of it: that is the project's version, or what `-t` says"
    elif is_reference(content.lower()):
        why = "Docker takes lower case only"
    raise spot.refuse(value, why)


def reference(spot: Spot, value: object) -> str:
    """Read the name of an image to pull."""
    content = line(spot, value)
    if not is_reference(content):
        raise spot.refuse(value, "Docker could not read that as the name of an image")
    return content


def base_image(spot: Spot, value: object) -> str:
    """Read the name of an image to pull in which `{python}` may stand for the version."""
    content = line(spot, value)
    filled = content.replace("{python}", "3.12")
    if "{" in filled or "}" in filled:
        raise spot.refuse(value, "`{python}` is all that is filled in")
    if not is_reference(filled):
        raise spot.refuse(value, "Docker could not read that as the name of an image")
    return content


def syntax(spot: Spot, value: object) -> str | Literal[False]:
    """Read the frontend: an image, "auto", or `false` for no `# syntax` line."""
    if value is False:
        return False
    if value is True:
        raise spot.refuse(value, 'that does not say which frontend; "auto" is the default')
    return reference(spot, value)


def cache(spot: Spot, value: object) -> NoReturn:
    """Read the cache's reference: not in this release."""
    raise spot.not_yet(
        reference(spot, value),
        without="Until then `poetry docker build` passes --cache-from and --cache-to through.",
    )
