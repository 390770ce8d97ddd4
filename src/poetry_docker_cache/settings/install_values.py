"""Readers of settings about the installation: Python, Poetry, packages, caches."""

from __future__ import annotations

import os.path
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Literal

from packaging.utils import canonicalize_name

from poetry_docker_cache.caches.backends import BACKENDS, BadCache
from poetry_docker_cache.caches.spec import Cache, parse
from poetry_docker_cache.settings.setting_errors import TABLE, SettingsError, kind
from poetry_docker_cache.settings.value_reader import (
    BOOLEAN,
    STRING,
    Schema,
    accepts,
    array,
    either,
    exactly,
    fixed,
    matching,
    number,
)
from poetry_docker_cache.settings.values import line, list_of, set_of

if TYPE_CHECKING:
    from poetry_docker_cache.settings.setting_errors import Spot

MOST_LAYERS = 48
_TOO_MANY_LAYERS = "an image can have at most 127 layers, including those of its base"

_PYTHON = re.compile(r"3\.(0|[1-9][0-9]?)(\.(0|[1-9][0-9]?))?")
_OLDEST_PYTHON_MINOR = 9
_POETRY = re.compile(r"([1-9][0-9]?)\.(0|[1-9][0-9]?)(\.(0|[1-9][0-9]?))?")
# sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT".
_KNOWN_HOST = re.compile(
    r"(@(cert-authority|revoked) )?[^\s#@]\S*"
    r" (ssh|ecdsa|sk)-[a-z0-9@.-]+ [A-Za-z0-9+/]+={0,3}( .*)?"
)
_LIBRARY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*\.so[A-Za-z0-9_.+-]*")


@accepts(STRING)
def name(spot: Spot, value: object) -> str:
    """Read the name of a group or extra, normalised as in Poetry; `dev,tests` is one name."""
    content = line(spot, value)
    if not content.strip():
        raise spot.refuse(value, "a name cannot be empty")
    return canonicalize_name(content)


@accepts(either(array(STRING), exactly("all")))
def names_or_all(spot: Spot, value: object) -> tuple[str, ...] | Literal["all"]:
    """Read names of groups or extras, or "all"."""
    return "all" if isinstance(value, str) and value == "all" else set_of(name)(spot, value)


def _quoted(spot: Spot, value: object, otherwise: str) -> str:
    """Read a version as a string; a number would lose a zero at its end."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise spot.refuse(value, f"without quotes it is a number, and {otherwise}")
    return line(spot, value)


@accepts(matching(_PYTHON))
def python_version(spot: Spot, value: object) -> str:
    """Read a Python version as in image tags."""
    content = _quoted(spot, value, "3.10 would become 3.1")
    match = _PYTHON.fullmatch(content)
    if not match:
        raise spot.refuse(value, "that is not a Python version")
    if int(match[1]) < _OLDEST_PYTHON_MINOR:
        raise spot.refuse(value, "the oldest supported version is 3.9")
    return content


@accepts(matching(_POETRY))
def poetry_version(spot: Spot, value: object) -> str:
    """Read the version of a final release of Poetry."""
    content = _quoted(spot, value, "2.10 would become 2.1")
    match = _POETRY.fullmatch(content)
    if not match:
        raise spot.refuse(value, "that is not the version of a final release")
    if (int(match[1]), int(match[2])) < (2, 1):
        raise spot.refuse(value, "Poetry before 2.1 does not record groups in the lock file")
    return content


@accepts(matching(_LIBRARY))
def shared_library(spot: Spot, value: object) -> str:
    """Read the file name of a shared library."""
    content = line(spot, value)
    if not _LIBRARY.fullmatch(content):
        raise spot.refuse(value, "that is not the file name of a shared library")
    return content


@accepts(STRING)
def known_host(spot: Spot, value: object) -> str:
    """Read a line of known_hosts."""
    content = line(spot, value).strip()
    if not _KNOWN_HOST.fullmatch(content):
        raise spot.refuse(value, "the line must have a host, a key type and a key")
    return content


@accepts(either(number(1, MOST_LAYERS), exactly("auto")))
def layers(spot: Spot, value: object) -> int | Literal["auto"]:
    """Read the number of dependency layers, or "auto"."""
    if isinstance(value, str) and value == "auto":
        return "auto"
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        quoted = isinstance(value, str) and value.isdecimal()
        why = "remove the quotes" if quoted else 'that is neither a number above 0 nor "auto"'
        raise spot.refuse(value, why)
    if value > MOST_LAYERS:
        raise spot.refuse(value, _TOO_MANY_LAYERS)
    return int(value)


@accepts(array(STRING))
def own_layers(spot: Spot, value: object) -> tuple[str, ...]:
    """Read the names of the packages that get a layer each, sorted."""
    names = tuple(sorted(set(list_of(name)(spot, value))))
    if len(names) > MOST_LAYERS:
        raise spot.refuse(len(names), _TOO_MANY_LAYERS)
    return names


@accepts(STRING)
def download_cache(spot: Spot, value: object) -> str:
    """Read the path of a folder on this machine, without a `/` at its end."""
    content = line(spot, value)
    why = ""
    if not content or content != content.strip():
        why = "the path is empty, or begins or ends with a space"
    elif any(c in content for c in "*?[\\") or content.startswith(("!", "#")):
        why = (
            "the ignore file cannot name a path that contains *, ?, [ or \\, or begins with ! or #"
        )
    elif within(content) == "." or content.rstrip("/") in ("", "~"):
        why = "the whole folder would be sent to the builder: use a separate folder for wheels"
    if why:
        raise spot.refuse(value, why)
    return content.rstrip("/")


def within(path: str) -> str | None:
    """The folder relative to the project; None if the path is outside it."""
    if path.startswith(("/", "~")) or Path(path).is_absolute():
        return None
    inside = PurePosixPath(os.path.normpath(path)).as_posix()
    return None if inside == ".." or inside.startswith("../") else inside


def _backend_schema(kind: str) -> Schema:
    """Return the schema of the table of a cache backend."""
    backend = BACKENDS[kind]
    value = either(STRING, BOOLEAN, {"type": "integer"})
    options: dict[str, Schema] = {"type": exactly(kind)}
    for option, described in backend.options.items():
        options[option] = {"description": described.takes, **value}
        table, dot, key = option.partition(".")
        if dot:  # the same without quotes
            options[table] = fixed({key: options[option]})
    return fixed(options, required=("type",))


@accepts(either(STRING, *map(_backend_schema, BACKENDS)))
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
