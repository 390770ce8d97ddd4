"""What the name of a base image reveals: its Python, C library, package manager and shell."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, cast

from poetry_docker_cache.docker.image_names import has_digest

if TYPE_CHECKING:
    from collections.abc import Iterable

_OFFICIAL = re.compile(
    r"(?P<repository>(?:.*/)?python):(?P<python>\d+\.\d+(?:\.\d+)?)(?P<slim>-slim)?(?P<suite>-.+)?"
)
# Docker's own images run as root and have all usual platforms; images of other hosts may not.
_DOCKERS_OWN = re.compile(r"(docker\.io/)?(library/)?python[:@].*")
# Chainguard's images and their mirrors are Wolfi, which uses apk.
_CHAINGUARD = r"(cgr\.dev|(.*/)?chainguard)/(.*/)?"
# Chainguard's and Docker's hardened Python come in pairs: without a shell, and `-dev` with one.
_PAIRED = re.compile(rf"({_CHAINGUARD}|dhi\.io/)python\b.*")
_DEV = re.compile(r"-dev(?=-|$)")
_RHEL = "almalinux|amazonlinux|centos|fedora|oraclelinux|rhel|rockylinux|ubi"
# Distributions with RPM packages, by the image's name without its host; the first match counts.
# Python's images for AWS Lambda are based on Amazon Linux 2 up to Python 3.11.
_RPM = (
    (r"\b(opensuse|bci|sles?\d*|suse)\b", "zypper"),
    (r"\b(azurelinux|cbl-mariner|photon)\b", "tdnf"),
    (r"\blambda[/-]python:3\.([89]|1[01])\b|\bamazonlinux:2\b", "yum"),
    (rf"\b({_RHEL})[:/-]?7\b", "yum"),
    (rf"\b({_RHEL})\d*\b.*(minimal|slim)", "microdnf"),
    (r"\blambda[/-]python\b", "microdnf"),
    (rf"\b({_RHEL})\d*\b", "dnf"),
)
_WITH_HOST = re.compile(r"^[^/]*[.:][^/]*/")
_DEBIAN = re.compile("-(slim|trixie|bookworm|bullseye|buster)")
PackageManager = Literal["apt", "apk", "dnf", "microdnf", "tdnf", "yum", "zypper"]


def python_in(image: str) -> str | None:
    """Return the minor version of Python in an official image's name."""
    match = _OFFICIAL.fullmatch(_tagged(image))
    return ".".join(match["python"].split(".")[:2]) if match else None


def full_image(image: str) -> str:
    """Return the full image of a slim official image; return any other image unchanged."""
    match = _OFFICIAL.fullmatch(_tagged(image))
    if not match or not match["slim"]:
        return image
    return f"{match['repository']}:{match['python']}{match['suite'] or ''}"


def libc(image: str) -> str | None:
    """Return the C library of an image, glibc or musl; None if the name does not show it."""
    if "alpine" in _name_and_tag(image):
        return "musl"
    return "glibc" if _is_official(image) else None


def is_debian(image: str) -> bool:
    """Return whether the image is known to have Debian's packages."""
    return libc(image) == "glibc" and package_manager(image) == "apt"


def suite(image: str) -> str:
    """Return the suite in the tag of an official image, such as `bookworm`; empty if absent."""
    match = _OFFICIAL.fullmatch(_tagged(image))
    return (match["suite"] or "").removeprefix("-") if match else ""


def is_alpine(image: str) -> bool:
    """Return whether the image is known to have Alpine's packages."""
    return libc(image) == "musl"


def is_official_alpine(image: str) -> bool:
    """Return whether the image is Python's Alpine image, on any host; it has no compiler."""
    return is_alpine(image) and _is_official(image)


def package_manager(image: str) -> PackageManager:
    """Return the package manager of the image's system; apt if the name does not show another."""
    if re.match(_CHAINGUARD, image) or re.search("alpine|wolfi", _name_and_tag(image)):
        return "apk"
    name = _WITH_HOST.sub("", _tagged(image))
    if _is_official(image) and _DEBIAN.search(name):
        return "apt"
    found = (manager for pattern, manager in _RPM if re.search(pattern, name))
    return cast("PackageManager", next(found, "apt"))


def install_line(image: str, packages: Iterable[str]) -> str:
    """Return the Dockerfile line that installs packages on an image of the Red Hat family."""
    manager, names = package_manager(image), " ".join(packages)
    return f"RUN {manager} install -y {names} && {manager} clean all"


def has_shell(image: str) -> bool:
    """Return whether commands can run on the image; only some names show that they cannot."""
    bare = "distroless" in image or _PAIRED.fullmatch(image)
    return not bare or bool(_DEV.search(_name_and_tag(image)))


def with_shell(image: str) -> str | None:
    """Return the variant with a shell of an image without one; None if unknown."""
    if not _PAIRED.fullmatch(image) or has_digest(image):
        return None
    tag = "" if ":" in _name_and_tag(image) else ":latest"
    return f"{image}{tag}-dev"


def may_have_user(image: str) -> bool:
    """Return whether the image may run as another user than root."""
    return not _DOCKERS_OWN.fullmatch(image)


def may_lack_platforms(image: str) -> bool:
    """Return whether the image may be missing for the platform of the build machine."""
    return not _DOCKERS_OWN.fullmatch(image)


def _is_official(image: str) -> bool:
    """Return whether the image is named like the official ones, with any Python version."""
    return bool(_OFFICIAL.fullmatch(_tagged(image.replace("{python}", "3.12"))))


def _name_and_tag(image: str) -> str:
    """Return the last part of the name: host and folders say nothing about the content."""
    return _tagged(image).rpartition("/")[2]


def _tagged(image: str) -> str:
    """Return the name without its digest."""
    return image.partition("@")[0]
