"""Readers of settings about what is installed: Python, Poetry, packages, caches."""

from __future__ import annotations

import os.path
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Literal

from packaging.utils import canonicalize_name

from poetry_docker_cache.caches.backends import BadCache
from poetry_docker_cache.caches.spec import Cache, parse
from poetry_docker_cache.settings.setting_errors import TABLE, SettingsError, kind
from poetry_docker_cache.settings.values import line, list_of

if TYPE_CHECKING:
    from poetry_docker_cache.settings.setting_errors import Spot

MOST_LAYERS = 48

_PYTHON = re.compile(r"3\.(0|[1-9][0-9]?)(\.(0|[1-9][0-9]?))?")
_OLDEST_PYTHON_MINOR = 9
_POETRY = re.compile(r"([1-9][0-9]?)\.(0|[1-9][0-9]?)(\.(0|[1-9][0-9]?))?")
# Debian policy, 5.6.1 and 5.6.12. A name with a hyphen at its end tells apt to remove the package.
_DEBIAN_PACKAGE = re.compile(
    r"[a-z0-9][a-z0-9+.-]*[a-z0-9+.]"
    r"(:[a-z0-9][a-z0-9-]*)?"
    r"(=([0-9]+:)?[0-9][A-Za-z0-9.+~-]*\*?)?"
)
# apk-world(5): also a version such as 9.9_p2-r0, and what a package provides: so:libpq.so.5.
_ALPINE_PACKAGE = re.compile(
    r"[a-z0-9][a-z0-9+._-]*[=~][0-9][A-Za-z0-9._-]*|(so|cmd|pc):[A-Za-z0-9][A-Za-z0-9+._-]*"
)

# sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT".
_KNOWN_HOST = re.compile(
    r"(@(cert-authority|revoked) )?[^\s#@]\S*"
    r" (ssh|ecdsa|sk)-[a-z0-9@.-]+ [A-Za-z0-9+/]+={0,3}( .*)?"
)
_LIBRARY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*\.so[A-Za-z0-9_.+-]*")


def name(spot: Spot, value: object) -> str:
    """Read the name of a group or extra, normalised as Poetry does; `dev,tests` is one name."""
    content = line(spot, value)
    if not content.strip():
        raise spot.refuse(value, "a name cannot be empty")
    return canonicalize_name(content)


def _quoted(spot: Spot, value: object, otherwise: str) -> str:
    """Read a version as a string: it loses a zero at its end where it is a number."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise spot.refuse(value, f"without quotes it is a number, and {otherwise}")
    return line(spot, value)


def python_version(spot: Spot, value: object) -> str:
    """Read a Python version as image tags have it."""
    content = _quoted(spot, value, "3.10 would become 3.1")
    match = _PYTHON.fullmatch(content)
    if not match:
        raise spot.refuse(value, "that is not one version of Python")
    if int(match[1]) < _OLDEST_PYTHON_MINOR:
        raise spot.refuse(value, "no Poetry that can install into the image runs on it")
    return content


def poetry_version(spot: Spot, value: object) -> str:
    """Read the version of a final release of Poetry."""
    content = _quoted(spot, value, "2.10 would become 2.1")
    match = _POETRY.fullmatch(content)
    if not match:
        raise spot.refuse(value, "that is not the version of one final release")
    if (int(match[1]), int(match[2])) < (2, 1):
        raise spot.refuse(value, "Poetry before 2.1 does not write what is installed into the lock")
    return content


def system_package(spot: Spot, value: object) -> str:
    """Read a package's name as `apt-get install` or `apk add` takes it."""
    content = line(spot, value)
    if not (_DEBIAN_PACKAGE.fullmatch(content) or _ALPINE_PACKAGE.fullmatch(content)):
        several = len(content.split()) > 1
        why = "each package is an item of its own" if several else "no package has that name"
        raise spot.refuse(value, why)
    return content


def shared_library(spot: Spot, value: object) -> str:
    """Read the name of a shared library as a program asks for it."""
    content = line(spot, value)
    if not _LIBRARY.fullmatch(content):
        raise spot.refuse(value, "that is not the file name of a shared library")
    return content


def known_host(spot: Spot, value: object) -> str:
    """Read a line that names a host and its key."""
    content = line(spot, value).strip()
    if not _KNOWN_HOST.fullmatch(content):
        raise spot.refuse(value, "that is not a host, the kind of its key, and the key")
    return content


def layers(spot: Spot, value: object) -> int | Literal["auto"]:
    """Read the number of dependency layers, or "auto"."""
    if isinstance(value, str) and value == "auto":
        return "auto"
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        quoted = isinstance(value, str) and value.isdecimal()
        why = "a number has no quotes" if quoted else 'that is neither a count nor "auto"'
        raise spot.refuse(value, why)
    if value > MOST_LAYERS:
        raise spot.refuse(value, "an image can hold 127 layers in all, its base's among them")
    return int(value)


def own_layers(spot: Spot, value: object) -> tuple[str, ...]:
    """Read the names of the packages that get a layer each, sorted."""
    names = tuple(sorted(set(list_of(name)(spot, value))))
    if len(names) > MOST_LAYERS:
        raise spot.refuse(len(names), "an image can hold 127 layers in all, its base's among them")
    return names


def download_cache(spot: Spot, value: object) -> str:
    """Read the path of a folder of this machine, as it is written but for a `/` at its end."""
    content = line(spot, value)
    why = ""
    if not content or content != content.strip():
        why = "a path is not empty and has no spaces at its ends"
    elif any(c in content for c in "*?[\\") or content.startswith(("!", "#")):
        why = "the ignore file could not name it: it has one of *?[\\ in it, or begins with ! or #"
    elif within(content) == "." or content.rstrip("/") in ("", "~"):
        why = "all of it would be sent to the builder: wheels need a folder of their own"
    if why:
        raise spot.refuse(value, why)
    return content.rstrip("/")


def within(path: str) -> str | None:
    """The same folder relative to the project, if it is written as one inside of it."""
    if path.startswith(("/", "~")) or Path(path).is_absolute():
        return None
    inside = PurePosixPath(os.path.normpath(path)).as_posix()
    return None if inside == ".." or inside.startswith("../") else inside


def cache(spot: Spot, value: object) -> Cache:
    """Read an image, a folder (relative to the project), or a backend with its options."""
    if not isinstance(value, str | Mapping):
        raise spot.refuse(value, f"that is {kind(value)}, neither a string nor a table")
    try:
        return parse(value, "both")
    except BadCache as error:
        if error.quotable:
            raise spot.refuse(value, error.why, fix=error.fix) from error
        raise SettingsError(
            f"`{spot.path}` in {TABLE} cannot be used: {error.why}.",
            fix=error.fix or f"For example: {spot.example}",
        ) from None
