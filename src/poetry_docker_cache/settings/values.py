"""What a setting's value may be: the readers that all kinds of settings share.

Each function takes where the value stands and the value as it was read, which may be tomlkit's
wrapper; gives plain Python values, tuples instead of lists; and raises `SettingsError`.
"""

from __future__ import annotations

import json
import posixpath
import re
import shlex
import unicodedata
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, TypeVar

from poetry_docker_cache.docker.ignore_patterns import is_line
from poetry_docker_cache.settings.setting_errors import kind, unknown_key

if TYPE_CHECKING:
    from poetry_docker_cache.settings.setting_errors import Spot

T = TypeVar("T")

_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Both find the environment that the image is about.
_ENV_OF_THE_IMAGE = ("PATH", "VIRTUAL_ENV")
_WORKDIR = re.compile(r"(/[A-Za-z0-9._@+-]+)+/?")
_FORBIDDEN_WORKDIRS = {
    "/venv": "the installed packages are there",
    "/home/app": "the image's user owns it, and could replace the code",
    "/proc": "the kernel mounts its own folder there",
    "/sys": "the kernel mounts its own folder there",
    "/dev": "the kernel mounts its own folder there",
}
_SHELL_SYNTAX = re.compile(r"[$&|;<>`*]")


def text(spot: Spot, value: object) -> str:
    """Read any string that a container can hold: no NUL, no half of a surrogate pair."""
    if not isinstance(value, str):
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        quote = "; put it in quotes" if is_number else ""
        raise spot.refuse(value, f"that is {kind(value)}, not a string{quote}")
    if any(c == "\0" or unicodedata.category(c) == "Cs" for c in value):
        raise spot.refuse(value, "it holds a character that no container can be given")
    return str(value)


def line(spot: Spot, value: object) -> str:
    """Read a string of one line without control characters other than tabs."""
    content = text(spot, value)
    if any(c != "\t" and unicodedata.category(c) in {"Cc", "Zl", "Zp"} for c in content):
        raise spot.refuse(value, "it has a line break or another control character in it")
    return content


def value_of_variable(spot: Spot, value: object) -> str:
    """Read a string for ENV or LABEL, where Dockerfile has no way to write a newline."""
    if isinstance(value, bool):
        raise spot.refuse(value, "that is a boolean, not a string; put it in quotes")
    content = text(spot, value)
    if "\n" in content:
        raise spot.refuse(value, "a Dockerfile has no way to write a line break here")
    return content


def boolean(spot: Spot, value: object) -> bool:
    """Read a switch."""
    if not isinstance(value, bool):
        raise spot.refuse(value, f"that is {kind(value)}, not a boolean")
    return value


def list_of(read: Callable[[Spot, object], T]) -> Callable[[Spot, object], tuple[T, ...]]:
    """Make a reader of lists from a reader of one item."""

    def read_list(spot: Spot, value: object) -> tuple[T, ...]:
        if isinstance(value, str):
            as_list = json.dumps([value], ensure_ascii=False)
            fix = f"Write {spot.path} = {as_list}." if len(value) < 60 and value else ""  # noqa: PLR2004  # as long as it fits a line
            raise spot.refuse(value, "that is a string, not a list", fix=fix)
        if not isinstance(value, list | tuple):
            raise spot.refuse(value, f"that is {kind(value)}, not a list")
        return tuple(read(spot.item(index), item) for index, item in enumerate(value))

    return read_list


def set_of(read: Callable[[Spot, object], T]) -> Callable[[Spot, object], tuple[T, ...]]:
    """Make a reader of lists whose repeated items count once, where they stand first."""
    read_list = list_of(read)
    return lambda spot, value: tuple(dict.fromkeys(read_list(spot, value)))


def entries(spot: Spot, value: object) -> dict[str, object]:
    """Read a table whose keys are free."""
    if not isinstance(value, Mapping):
        raise spot.refuse(value, f"that is {kind(value)}, not a table")
    return {str(name): item for name, item in value.items()}


def fields(spot: Spot, value: object, known: tuple[str, ...]) -> dict[str, object]:
    """Read a table whose keys are given."""
    found = entries(spot, value)
    for name in found:
        if name not in known:
            raise unknown_key(name, known, inside=spot.path)
    return found


def argv(spot: Spot, value: object) -> tuple[str, ...]:
    """Read a command as a list of words, Docker's exec form; an empty list is no command."""
    if isinstance(value, str):
        words = json.dumps(_split(value), ensure_ascii=False)
        fix = f"Write {spot.path} = {words}." if len(words) < 100 and value.strip() else ""  # noqa: PLR2004  # as long as it fits a line
        raise spot.refuse(value, "that is a string, and no shell is there to split it", fix=fix)
    words_read = list_of(text)(spot, value)
    if words_read and not words_read[0].strip():
        raise spot.item(0).refuse(words_read[0], "the first word is the program to run")
    return words_read


def _split(command: str) -> list[str]:
    if _SHELL_SYNTAX.search(command):
        return ["sh", "-c", command]
    try:
        return shlex.split(command)
    except ValueError:  # an open quote
        return ["sh", "-c", command]


def project_path(spot: Spot, value: object) -> str:
    """Read a path inside the project, without `./` and `/` at its ends; `.` is all of it."""
    content = line(spot, value)
    why = ""
    if not content or content != content.strip():
        why = "a path is not empty and has no spaces at its ends"
    elif "\\" in content:
        why = "folders are separated by /"
    elif content.startswith("/"):
        why = "only what is inside the project can be copied: the path starts at its root"
    elif ".." in PurePosixPath(content).parts:
        why = "only what is inside the project can be copied: there is no `..`"
    elif content.startswith("!"):
        why = "it names what is copied; what is left out belongs into `ignore`"
    elif any(c in content for c in "*?["):
        why = "patterns are not expanded; a folder's name takes all that is in it"
    elif "$" in content:
        why = "Docker would read $ as the start of a variable"
    if why:
        raise spot.refuse(value, why)
    return str(PurePosixPath(content))


def workdir(spot: Spot, value: object) -> str:
    """Read the absolute path of a folder in the image that may hold code."""
    content = line(spot, value)
    path = PurePosixPath(content)
    if not _WORKDIR.fullmatch(content) or {".", ".."} & set(content.split("/")):
        raise spot.refuse(value, "that is not the plain absolute path of a folder below /")
    for folder, why in _FORBIDDEN_WORKDIRS.items():
        if path.is_relative_to(folder):
            raise spot.refuse(value, why)
    return str(path)


def env(spot: Spot, value: object) -> tuple[tuple[str, str], ...]:
    """Read environment variables, sorted by name."""
    variables = {}
    for variable, content in entries(spot, value).items():
        here = spot.entry(variable)
        if not _ENV_NAME.fullmatch(variable):
            raise here.refuse(content, "the name is not letters, digits and underscores")
        if variable in _ENV_OF_THE_IMAGE:
            raise here.refuse(
                content,
                "the image sets it, or would not find its own packages",
                fix=f"A line `ENV {variable}=…` in `instructions.runtime` can still change it.",
            )
        variables[variable] = value_of_variable(here, content)
    return tuple(sorted(variables.items()))


def labels(spot: Spot, value: object) -> tuple[tuple[str, str], ...]:
    """Read labels, sorted by name."""
    found = {}
    for label, content in entries(spot, value).items():
        here = spot.entry(label)
        if isinstance(content, Mapping):
            # `org.example.team = "x"` without quotes is three tables in TOML.
            fix = (
                f'Write "{label}.…" with its dots as one key in quotes.' if label.isalnum() else ""
            )
            raise here.refuse(content, "that is a table, not a string", fix=fix)
        if not label or not label.isprintable() or any(c in label for c in " =\"'\\$"):
            raise here.refuse(content, "the name is empty or has a space or one of =\"'\\$ in it")
        found[label] = value_of_variable(here, content)
    return tuple(sorted(found.items()))


def ignore_line(spot: Spot, value: object) -> str:
    """Read a line of an ignore file."""
    content = line(spot, value)
    if not is_line(content):
        why = "Docker takes that for no pattern, and would refuse the whole file"
        raise spot.refuse(value, why)
    return content


def template(spot: Spot, value: object) -> str:
    """Read the path of the project's own template, without `./`; it may be outside of the project.

    One template may serve several projects of a repository. It is read before the build only.
    """
    content = line(spot, value)
    why = ""
    if not content or content != content.strip():
        why = "a path is not empty and has no spaces at its ends"
    elif "\\" in content:
        why = "folders are separated by /"
    elif content.startswith(("/", "~")):
        why = "the path starts at the project's root, to be the same on every machine"
    elif PurePosixPath(content).name in ("", "..") or content.endswith("/"):
        why = "that is a folder"
    if why:
        raise spot.refuse(value, why)
    return posixpath.normpath(content)
