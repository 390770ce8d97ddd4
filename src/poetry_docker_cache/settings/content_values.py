"""Readers of settings about the final image's contents: folders, copied files, build arguments."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from poetry_docker_cache.settings.image_values import owner, reference
from poetry_docker_cache.settings.setting_errors import kind
from poetry_docker_cache.settings.value_reader import (
    STRING,
    accepts,
    either,
    matching,
    named,
)
from poetry_docker_cache.settings.values import (
    ENV_NAME,
    entries,
    line,
    project_path,
    refuse_label,
    refuse_variable,
    table,
    value_of_variable,
)

if TYPE_CHECKING:
    from poetry_docker_cache.settings.setting_errors import Spot

_MODE = re.compile(r"[0-7]{3,4}")
_WORKDIR = "."
_NOT_THERE = {
    "/venv": "the packages are installed there",
    "/scripts": "the build mounts its scripts there",
    "/dev": "the kernel mounts a file system there",
    "/proc": "the kernel mounts a file system there",
    "/sys": "the kernel mounts a file system there",
}
_WITH_PROGRAMS = {
    *("/", "/bin", "/boot", "/etc", "/lib", "/lib64", "/sbin", "/usr", "/usr/bin", "/usr/lib"),
    *("/usr/lib64", "/usr/local", "/usr/local/bin", "/usr/local/lib", "/usr/local/sbin"),
    "/usr/sbin",
}
_LINKS = {
    "/bin": "/usr/bin",
    "/lib": "/usr/lib",
    "/lib64": "/usr/lib64",
    "/sbin": "/usr/sbin",
    "/var/lock": "/run/lock",
    "/var/run": "/run",
}
"""Folders that are links in most images. A layer with a folder of that name replaces the link."""


@dataclass(frozen=True, kw_only=True)
class Directory:
    """A folder that the image's user owns."""

    path: str
    """Absolute, or relative to the working directory."""
    mode: str | None = None
    """Four octal digits; None keeps the mode in the base image, and is 0755 for a new folder."""


@dataclass(frozen=True, kw_only=True)
class Copied:
    """A file or folder that is copied under another name or to another place."""

    source: str
    """A path in the project, or an absolute one in `image`."""
    to: str
    """Absolute, or relative to the working directory; `/` at its end for a folder to copy into."""
    image: str | None = None
    owner: str = "root"
    """A name, or `uid:gid`."""
    mode: str | None = None
    """Four octal digits; None keeps the mode, but makes files of the project readable."""


@dataclass(frozen=True, kw_only=True)
class BuildArgument:
    """A build argument, and where its value is in the image."""

    name: str
    default: str = ""
    env: str | None = None
    """The name of an environment variable."""
    label: str | None = None
    file: str | None = None
    """Absolute, or relative to the working directory."""


@accepts(matching(_MODE))
def mode(spot: Spot, value: object) -> str:
    """Read the octal digits of a mode."""
    if isinstance(value, int) and not isinstance(value, bool):
        raise spot.refuse(value, "without quotes it is not an octal number")
    content = line(spot, value)
    if not _MODE.fullmatch(content):
        raise spot.refuse(value, "that is not three or four octal digits")
    return content.zfill(4)


@accepts(STRING)
def image_path(spot: Spot, value: object) -> str:
    """Read a path in the image, absolute or relative to the working directory; `.` is that one."""
    content = line(spot, value)
    why = ""
    if not content or content != content.strip():
        why = "the path is empty, or begins or ends with a space"
    elif ".." in PurePosixPath(content).parts:
        why = "write the path without `..`"
    elif content.startswith(("~", "-")) or any(c in content for c in "\\$*?[]<>\"'"):
        why = "Docker would interpret one of its characters"
    if why:
        raise spot.refuse(value, why)
    path = posixpath.normpath(content)
    return path[1:] if path.startswith("//") else path


def _refuse_places(spot: Spot, value: object, path: str) -> None:
    for folder, why in _NOT_THERE.items():
        if PurePosixPath(path).is_relative_to(folder):
            raise spot.refuse(value, why)


@accepts(STRING)
def folder(spot: Spot, value: object) -> str:
    """Read the path of a folder that the user owns. The plan compares it with `workdir`."""
    path = image_path(spot, value)
    _refuse_places(spot, value, path)
    if path in _WITH_PROGRAMS:
        raise spot.refuse(value, "the user could replace programs of the image")
    return path


@accepts(STRING)
def destination(spot: Spot, value: object) -> str:
    """Read where something is copied to; `/` at the end is kept."""
    path = image_path(spot, value)
    _refuse_places(spot, value, path)
    is_folder = str(value).endswith(("/", "/.")) and path != "/"
    return f"{path}/" if is_folder or path == _WORKDIR else path


@accepts(STRING)
def file(spot: Spot, value: object) -> str:
    """Read the path of a file that the build writes."""
    path = destination(spot, value)
    if path.endswith("/"):
        raise spot.refuse(value, "that is a folder")
    if re.search(r"[\s#]", path):
        raise spot.refuse(value, "it contains a space or `#`")
    for link, target in _LINKS.items():
        if PurePosixPath(path).is_relative_to(link):
            fixed = target + path[len(link) :]
            raise spot.refuse(value, f"{link} is a link in most images; write {fixed}")
    return path


@accepts(STRING)
def path_in_image(spot: Spot, value: object) -> str:
    """Read an absolute path in another image."""
    content = line(spot, value)
    if not content.startswith("/") or ".." in PurePosixPath(content).parts:
        raise spot.refuse(value, "a path in another image begins with `/` and has no `..`")
    if any(c in content for c in "\\*?["):
        raise spot.refuse(value, "patterns are not expanded here; name one file or folder")
    return "/" + posixpath.normpath(content).lstrip("/")


@accepts(matching(ENV_NAME))
def _variable(spot: Spot, value: object) -> str:
    content = line(spot, value)
    refuse_variable(spot, content, value)
    return content


@accepts(STRING)
def _label(spot: Spot, value: object) -> str:
    content = line(spot, value)
    refuse_label(spot, content, value)
    return content


_TAKES_PATH = "a path in the image, absolute or relative to `workdir`"
_TAKES_MODE = 'octal digits in quotes, such as `"0750"`'
_DIRECTORY = table({"path": (folder, _TAKES_PATH), "mode": (mode, _TAKES_MODE)}, required=("path",))
_COPIED = {
    "image": (reference, "an image with a tag or digest"),
    "from": (path_in_image, "an absolute path in `image`"),
    "to": (destination, _TAKES_PATH),
    "owner": (owner, 'a number, `"uid:gid"`, or the name of a user in the base image'),
    "mode": (mode, _TAKES_MODE),
}
_FROM_PROJECT = (project_path, "a path relative to the project, or an absolute one in `image`")
_COPIED_FROM = {
    place: table(readers, required=("from", "to"))
    for place, readers in (("image", _COPIED), ("project", {**_COPIED, "from": _FROM_PROJECT}))
}
_BUILD_ARGUMENT = table(
    {
        "default": (value_of_variable, "a string"),
        "env": (_variable, "the name of an environment variable"),
        "label": (_label, "the name of a label"),
        "file": (file, "the path of a file in the image, absolute or relative to `workdir`"),
    }
)


@accepts(either(STRING, _DIRECTORY.schema))
def directory(spot: Spot, value: object) -> Directory:
    """Read a folder: its path, or a table of path and mode."""
    if not isinstance(value, Mapping):
        return Directory(path=folder(spot, value))
    return Directory(**_DIRECTORY(spot, value))


@accepts(_COPIED_FROM["project"].schema)
def copied(spot: Spot, value: object) -> Copied:
    """Read a table of what is copied, and where to."""
    place = "image" if "image" in entries(spot, value) else "project"
    read = _COPIED_FROM[place](spot, value)
    source = read.pop("from")
    if source == ".":
        why = "that is the whole project, which `files` and `workdir` can copy"
        raise spot.entry("from").refuse(source, why)
    return Copied(source=source, **read)


@accepts(named(either(STRING, _BUILD_ARGUMENT.schema), ENV_NAME))
def build_arguments(spot: Spot, value: object) -> tuple[BuildArgument, ...]:
    """Read build arguments, sorted by name."""
    return tuple(
        _build_argument(spot.entry(name), name, content)
        for name, content in sorted(entries(spot, value).items())
    )


def _build_argument(spot: Spot, name: str, value: object) -> BuildArgument:
    refuse_variable(spot, name, value)
    if not isinstance(value, Mapping):
        if not isinstance(value, str):
            raise spot.refuse(value, f"that is {kind(value)}, neither a string nor a table")
        return BuildArgument(name=name, default=value_of_variable(spot, value), env=name)
    read = _BUILD_ARGUMENT(spot, value)
    if not {"env", "label", "file"} & read.keys():
        read["env"] = name
    return BuildArgument(name=name, **read)
