"""The reader of `assets`: front ends whose build goes into the image."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from poetry_docker_cache.docker.ignore_patterns import is_inside
from poetry_docker_cache.settings import values
from poetry_docker_cache.settings.image_values import reference
from poetry_docker_cache.settings.value_reader import STRING, accepts, array, either

if TYPE_CHECKING:
    from poetry_docker_cache.settings.setting_errors import Spot


@dataclass(frozen=True, kw_only=True)
class Assets:
    """A front end of the project; None if its own files decide."""

    folder: str
    """The folder with its package.json and lock file, relative to the project, or beside it."""
    output: str
    """What its build writes, relative to the project."""
    to: str
    """The place in the image: relative to the project and to the working directory, or absolute."""
    image: str | None = None
    install: tuple[str, ...] | None = None
    """The command that downloads its packages."""
    build: tuple[str, ...] | None = None
    files: tuple[str, ...] = ()
    """The paths of the project that its build reads; empty for the folder."""
    network: bool = False
    """Whether install scripts and the build have access to the network."""


_TAKES_COMMAND = "a list: the program and its arguments"
_TAKES_PATH = "a path relative to the project"


@accepts(STRING)
def _place(spot: Spot, value: object) -> str:
    """Read the place in the image, which may be outside the working directory."""
    is_absolute = isinstance(value, str) and value.startswith("/")
    place = values.workdir(spot, value) if is_absolute else values.project_path(spot, value)
    if place == ".":
        raise spot.refuse(value, "name a folder of its own")
    return place


def _output(spot: Spot, folder: str, value: object) -> str:
    """Read a path relative to the front end's folder; return it relative to the project."""
    here = spot.entry("output", takes="a path relative to `folder`")
    content = values.line(here, value)
    path = posixpath.normpath(posixpath.join(folder, content)) if content else "."
    if path in (".", folder):
        raise here.refuse(value, "name the folder that the build writes to")
    if content.startswith("/") or (path.startswith("../") and not is_inside(path, [folder])):
        raise here.refuse(value, "that is outside the project")
    return values.nearby_path(here, path)


_FIELDS = values.table(
    {
        "folder": (values.nearby_path, _TAKES_PATH),
        "output": (values.line, "a path relative to `folder`"),
        "to": (_place, "a path relative to the project, or an absolute one in the image"),
        "image": (reference, "an image with a tag or digest"),
        "install": (values.command, _TAKES_COMMAND),
        "build": (values.command, _TAKES_COMMAND),
        "files": (values.set_of(values.nearby_path), "a list of paths relative to the project"),
        "network": (values.boolean, "`true` or `false`"),
    },
    required=("folder", "output", "to"),
)


@accepts(_FIELDS.schema)
def _table(spot: Spot, value: object) -> Assets:
    # `_FIELDS` names the fields of the dataclass, so the types fit.
    read = _FIELDS(spot, value)
    return Assets(**{**read, "output": _output(spot, read["folder"], read["output"])})


@accepts(either(_table.schema, array(_table.schema)))
def assets(spot: Spot, value: object) -> tuple[Assets, ...]:
    """Read one table, or a list of tables."""
    if isinstance(value, Mapping):
        return (_table(spot, value),)
    return values.list_of(_table)(spot, value)
