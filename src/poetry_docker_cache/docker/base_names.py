"""What the name of a base image says: its Python, C library, package manager and shell."""

from __future__ import annotations

import re
from typing import Literal

from poetry_docker_cache.docker.image_names import has_digest

_OFFICIAL = re.compile(
    r"(?P<repository>(?:.*/)?python):(?P<python>\d+\.\d+(?:\.\d+)?)(?P<slim>-slim)?(?P<suite>-.+)?"
)
# Docker's own, which runs as root. Under another host or folder there may be any image.
_DOCKERS_OWN = re.compile(r"(docker\.io/)?(library/)?python[:@].*")
# Chainguard's, wherever they are mirrored, are made of Wolfi, whose packages are apk's.
_CHAINGUARD = r"(cgr\.dev|(.*/)?chainguard)/(.*/)?"
# Chainguard's Python and Docker's hardened one come in pairs: one without a shell, and its `-dev`.
_PAIRED = re.compile(rf"({_CHAINGUARD}|dhi\.io/)python\b.*")
_DEV = re.compile(r"-dev(?=-|$)")


def python_in(image: str) -> str | None:
    """The minor version of Python that an official image's name tells."""
    match = _OFFICIAL.fullmatch(_tagged(image))
    return ".".join(match["python"].split(".")[:2]) if match else None


def full_image(image: str) -> str:
    """The full image of a slim one, by its tag; any other image is its own."""
    match = _OFFICIAL.fullmatch(_tagged(image))
    if not match or not match["slim"]:
        return image
    return f"{match['repository']}:{match['python']}{match['suite'] or ''}"


def libc(image: str) -> str | None:
    """The C library of an image, glibc or musl, as far as its name tells."""
    if "alpine" in _name_and_tag(image):
        return "musl"
    return "glibc" if _is_official(image) else None


def is_debian(image: str) -> bool:
    """Whether the image is known to have Debian's packages."""
    return libc(image) == "glibc" and package_manager(image) == "apt"


def suite(image: str) -> str:
    """What the tag of an official image says of its Debian, such as `bookworm`; or nothing."""
    match = _OFFICIAL.fullmatch(_tagged(image))
    return (match["suite"] or "").removeprefix("-") if match else ""


def is_alpine(image: str) -> bool:
    """Whether the image is known to have Alpine's packages."""
    return libc(image) == "musl"


def is_official_alpine(image: str) -> bool:
    """Whether it is Python's own Alpine image, under whatever host: it has no compiler."""
    return is_alpine(image) and _is_official(image)


def package_manager(image: str) -> Literal["apt", "apk"]:
    """What installs the packages of the image's system."""
    is_apk = re.match(_CHAINGUARD, image) or re.search("alpine|wolfi", _name_and_tag(image))
    return "apk" if is_apk else "apt"


def has_shell(image: str) -> bool:
    """Whether commands can run on the image: not, where its name tells that it has no shell."""
    bare = "distroless" in image or _PAIRED.fullmatch(image)
    return not bare or bool(_DEV.search(_name_and_tag(image)))


def with_shell(image: str) -> str | None:
    """The one with a shell beside an image without: None where none is known."""
    if not _PAIRED.fullmatch(image) or has_digest(image):
        return None
    tag = "" if ":" in _name_and_tag(image) else ":latest"
    return f"{image}{tag}-dev"


def may_have_user(image: str) -> bool:
    """Whether the image may have been made to run as another user than root."""
    return not _DOCKERS_OWN.fullmatch(image)


def _is_official(image: str) -> bool:
    """Whether it is called like the official ones, with some Python filled in."""
    return bool(_OFFICIAL.fullmatch(_tagged(image.replace("{python}", "3.12"))))


def _name_and_tag(image: str) -> str:
    """What tells of the image: its host and folders are somebody's, and may be called anything."""
    return _tagged(image).rpartition("/")[2]


def _tagged(image: str) -> str:
    """The name without its digest."""
    return image.partition("@")[0]
