"""Readers of values that all kinds of settings share.

Each takes the place of a value and the value as TOML has it, returns plain Python values (tuples
instead of lists), and raises `SettingsError`.
"""

from __future__ import annotations

import json
import posixpath
import re
import shlex
import unicodedata
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, TypeVar

from poetry_docker_cache.docker.ignore_patterns import is_line
from poetry_docker_cache.settings.setting_errors import kind, unknown_key
from poetry_docker_cache.settings.value_reader import (
    BOOLEAN,
    STRING,
    Reader,
    accepts,
    array,
    fixed,
    matching,
    named,
)

if TYPE_CHECKING:
    from poetry_docker_cache.settings.setting_errors import Spot

T = TypeVar("T")

ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Both lead to the virtual environment in the image.
_ENV_OF_THE_IMAGE = ("PATH", "VIRTUAL_ENV")
_WORKDIR = re.compile(r"(/[A-Za-z0-9._@+-]+)+/?")
_FORBIDDEN_WORKDIRS = {
    "/venv": "the packages are installed there",
    "/root": "only root can open it",
    "/scripts": "the build mounts its scripts there",
    "/proc": "the kernel mounts a file system there",
    "/sys": "the kernel mounts a file system there",
    "/dev": "the kernel mounts a file system there",
}
# Debian policy, 5.6.1 and 5.6.12. A name with a hyphen at its end makes apt remove the package.
_DEBIAN_PACKAGE = re.compile(
    r"[a-z0-9][a-z0-9+.-]*[a-z0-9+.]"
    r"(:[a-z0-9][a-z0-9-]*)?"
    r"(=([0-9]+:)?[0-9][A-Za-z0-9.+~-]*\*?)?"
)
# apk-world(5): also a version such as 9.9_p2-r0, and what a package provides: so:libpq.so.5.
_ALPINE_PACKAGE = re.compile(
    r"[a-z0-9][a-z0-9+._-]*[=~][0-9][A-Za-z0-9._-]*|(so|cmd|pc):[A-Za-z0-9][A-Za-z0-9+._-]*"
)
_SHELL_SYNTAX = re.compile(r"[$&|;<>`*]")


@accepts(STRING)
def text(spot: Spot, value: object) -> str:
    """Read a string without NUL characters and lone surrogates, which a container cannot have."""
    if not isinstance(value, str):
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        quote = "; put it in quotes" if is_number else ""
        raise spot.refuse(value, f"that is {kind(value)}, not a string{quote}")
    if any(c == "\0" or unicodedata.category(c) == "Cs" for c in value):
        raise spot.refuse(value, "it contains a character that is not possible in a container")
    return str(value)


@accepts(STRING)
def line(spot: Spot, value: object) -> str:
    """Read a single line without control characters other than tabs."""
    content = text(spot, value)
    if any(c != "\t" and unicodedata.category(c) in {"Cc", "Zl", "Zp"} for c in content):
        raise spot.refuse(value, "it contains a line break or another control character")
    return content


@accepts(STRING)
def value_of_variable(spot: Spot, value: object) -> str:
    """Read a string for ENV or LABEL, which cannot contain a newline in a Dockerfile."""
    if isinstance(value, bool):
        raise spot.refuse(value, "that is a boolean, not a string; put it in quotes")
    content = text(spot, value)
    if "\n" in content:
        raise spot.refuse(value, "a Dockerfile cannot contain a line break here")
    return content


@accepts(BOOLEAN)
def boolean(spot: Spot, value: object) -> bool:
    """Read a boolean."""
    if not isinstance(value, bool):
        raise spot.refuse(value, f"that is {kind(value)}, not a boolean")
    return value


def list_of(read: Reader[T]) -> Reader[tuple[T, ...]]:
    """Make a reader of lists from a reader of one item."""

    @accepts(array(read.schema))
    def read_list(spot: Spot, value: object) -> tuple[T, ...]:
        if isinstance(value, str):
            as_list = json.dumps([value], ensure_ascii=False)
            fix = f"Write {spot.path} = {as_list}." if len(value) < 60 and value else ""  # noqa: PLR2004  # fits on a line
            raise spot.refuse(value, "that is a string, not a list", fix=fix)
        if not isinstance(value, list | tuple):
            raise spot.refuse(value, f"that is {kind(value)}, not a list")
        return tuple(read(spot.item(index), item) for index, item in enumerate(value))

    return read_list


def set_of(read: Reader[T]) -> Reader[tuple[T, ...]]:
    """Make a reader of lists that drops repeated items."""
    read_list = list_of(read)
    return Reader(
        lambda spot, value: tuple(dict.fromkeys(read_list(spot, value))), read_list.schema
    )


def entries(spot: Spot, value: object) -> dict[str, object]:
    """Read a table with any keys."""
    if not isinstance(value, Mapping):
        raise spot.refuse(value, f"that is {kind(value)}, not a table")
    return {str(name): item for name, item in value.items()}


def table(
    readers: Mapping[str, tuple[Reader[object], str]], *, required: tuple[str, ...] = ()
) -> Reader[dict[str, Any]]:
    """Make a reader of tables from the reader of each key, which comes with what it takes.

    Its result has the names of a dataclass's fields.
    """
    properties = {
        name: {"description": takes, **reader.schema} for name, (reader, takes) in readers.items()
    }

    @accepts(fixed(properties, required))
    def read_table(spot: Spot, value: object) -> dict[str, Any]:
        found = entries(spot, value)
        for name in found:
            if name not in readers:
                raise unknown_key(name, tuple(readers), inside=spot.path)
        for name in required:
            if name not in found:
                raise spot.refuse(value, f"`{name}` is missing")
        return {
            name.replace("-", "_"): reader(spot.entry(name, takes=takes), found[name])
            for name, (reader, takes) in readers.items()
            if name in found
        }

    return read_table


@accepts(array(STRING))
def argv(spot: Spot, value: object) -> tuple[str, ...]:
    """Read a command as a list of words (exec form); an empty list clears the command."""
    if isinstance(value, str):
        words = json.dumps(_split(value), ensure_ascii=False)
        fix = f"Write {spot.path} = {words}." if len(words) < 100 and value.strip() else ""  # noqa: PLR2004  # fits on a line
        raise spot.refuse(value, "that is a string, and no shell splits it into words", fix=fix)
    words_read = list_of(text)(spot, value)
    if words_read and not words_read[0].strip():
        raise spot.item(0).refuse(words_read[0], "the first word must be the program")
    return words_read


@accepts({**argv.schema, "minItems": 1})
def command(spot: Spot, value: object) -> tuple[str, ...]:
    """Read a command that has at least the program."""
    words = argv(spot, value)
    if not words:
        raise spot.refuse(value, "the command is empty")
    return words


def _split(command: str) -> list[str]:
    if _SHELL_SYNTAX.search(command):
        return ["sh", "-c", command]
    try:
        return shlex.split(command)
    except ValueError:  # an open quote
        return ["sh", "-c", command]


@accepts(STRING)
def system_package(spot: Spot, value: object) -> str:
    """Read a package's name as `apt-get install` or `apk add` takes it."""
    content = line(spot, value)
    if not (_DEBIAN_PACKAGE.fullmatch(content) or _ALPINE_PACKAGE.fullmatch(content)):
        several = len(content.split()) > 1
        why = "write each package as a separate item" if several else "that is not a package name"
        raise spot.refuse(value, why)
    return content


@accepts(STRING)
def project_path(spot: Spot, value: object) -> str:
    """Read a path inside the project, without a leading `./` and a trailing `/`."""
    path = project_pattern(spot, value)
    if any(c in path for c in "*?["):
        raise spot.refuse(value, "patterns are not expanded here; name one file or folder")
    return path


@accepts(STRING)
def nearby_path(spot: Spot, value: object) -> str:
    """Read a path inside the project or, with `..` at its start, beside it."""
    above = re.match(r"(\.\./)+", value) if isinstance(value, str) else None
    if not above:
        return project_path(spot, value)
    return above[0] + project_path(spot, str(value)[above.end() :])


@accepts(STRING)
def project_pattern(spot: Spot, value: object) -> str:
    """Read a path inside the project that may have the wildcards of Python's `glob`."""
    content = line(spot, value)
    why = ""
    if not content or content != content.strip():
        why = "the path is empty, or begins or ends with a space"
    elif "\\" in content:
        why = "use / to separate folders"
    elif content.startswith("/"):
        why = "only paths inside the project can be copied: write it relative to the project"
    elif ".." in PurePosixPath(content).parts:
        why = "only paths inside the project can be copied: remove `..`"
    elif content.startswith("!"):
        why = "to exclude files, use `ignore`"
    elif "$" in content:
        why = "Docker would expand $ as a variable"
    if why:
        raise spot.refuse(value, why)
    return str(PurePosixPath(content))


@accepts(matching(_WORKDIR))
def workdir(spot: Spot, value: object) -> str:
    """Read the absolute path of a folder in the image."""
    content = line(spot, value)
    path = PurePosixPath(content)
    if not _WORKDIR.fullmatch(content) or {".", ".."} & set(content.split("/")):
        raise spot.refuse(value, "that is not the normalised absolute path of a folder below /")
    for folder, why in _FORBIDDEN_WORKDIRS.items():
        if path.is_relative_to(folder):
            raise spot.refuse(value, why)
    return str(path)


@accepts(named(STRING, ENV_NAME))
def env(spot: Spot, value: object) -> tuple[tuple[str, str], ...]:
    """Read environment variables, sorted by name."""
    variables = {}
    for variable, content in entries(spot, value).items():
        here = spot.entry(variable)
        refuse_variable(here, variable, content)
        variables[variable] = value_of_variable(here, content)
    return tuple(sorted(variables.items()))


def refuse_variable(spot: Spot, name: str, value: object) -> None:
    """Raise `SettingsError` for a name that an environment variable of the image cannot have."""
    if not ENV_NAME.fullmatch(name):
        raise spot.refuse(value, "the name must be letters, digits and underscores")
    if name in _ENV_OF_THE_IMAGE:
        raise spot.refuse(
            value,
            "the image sets it to find its packages",
            fix=f"To change it, add a line `ENV {name}=…` to `instructions.runtime`.",
        )


@accepts(named(STRING))
def labels(spot: Spot, value: object) -> tuple[tuple[str, str], ...]:
    """Read labels, sorted by name."""
    found = {}
    for label, content in entries(spot, value).items():
        here = spot.entry(label)
        if isinstance(content, Mapping):
            # `org.example.team = "x"` without quotes is three tables in TOML.
            fix = f'Write the name "{label}.…" in quotes.' if label.isalnum() else ""
            raise here.refuse(content, "that is a table, not a string", fix=fix)
        refuse_label(here, label, content)
        found[label] = value_of_variable(here, content)
    return tuple(sorted(found.items()))


def refuse_label(spot: Spot, name: str, value: object) -> None:
    """Raise `SettingsError` for a name that a label cannot have."""
    if not name or not name.isprintable() or any(c in name for c in " =\"'\\$"):
        raise spot.refuse(value, "the name is empty, or contains a space or one of =\"'\\$")


@accepts(STRING)
def ignore_line(spot: Spot, value: object) -> str:
    """Read a line of an ignore file."""
    content = line(spot, value)
    if not is_line(content):
        why = "that is not a valid pattern, and Docker would reject the whole file"
        raise spot.refuse(value, why)
    return content


@accepts(STRING)
def template(spot: Spot, value: object) -> str:
    """Read the path of the project's own template, without a leading `./`.

    It may be outside the project, because it is only read before the build, and several projects of
    a repository may share it.
    """
    content = line(spot, value)
    why = ""
    if not content or content != content.strip():
        why = "the path is empty, or begins or ends with a space"
    elif "\\" in content:
        why = "use / to separate folders"
    elif content.startswith(("/", "~")):
        why = "write it relative to the project, so that it is the same on every machine"
    elif PurePosixPath(content).name in ("", "..") or content.endswith("/"):
        why = "that is a folder"
    if why:
        raise spot.refuse(value, why)
    return posixpath.normpath(content)
