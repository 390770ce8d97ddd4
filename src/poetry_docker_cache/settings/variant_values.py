"""Readers of the settings of images for development and tests."""

from __future__ import annotations

from dataclasses import dataclass

from poetry_docker_cache.settings.value_reader import Reader
from poetry_docker_cache.settings.values import (
    argv,
    boolean,
    env,
    project_path,
    set_of,
    table,
)

_NAMES = "a list of names"
_READERS: dict[str, tuple[Reader[object], str]] = {
    "command": (argv, "a list: the program and its arguments"),
    "env": (env, "a table of strings"),
}
_OF_TESTS: dict[str, tuple[Reader[object], str]] = {
    "files": (set_of(project_path), "a list of paths relative to the project"),
    "network": (boolean, "`true` or `false`"),
}


@dataclass(frozen=True, kw_only=True)
class VariantSettings:
    """The settings of an image for development or tests; None if the project decides."""

    groups: tuple[str, ...] | None = None
    """The groups that it installs in addition to those of the image."""
    extras: tuple[str, ...] = ()
    command: tuple[str, ...] | None = None
    env: tuple[tuple[str, str], ...] = ()
    files: tuple[str, ...] = ()
    network: bool = False


def reader(names: Reader[tuple[str, ...]], *, tests: bool) -> Reader[VariantSettings]:
    """Make a reader of the table for development or tests; `names` reads groups and extras."""
    readers = {"groups": (names, _NAMES), "extras": (names, _NAMES), **_READERS}
    read = table(readers | _OF_TESTS if tests else readers)
    # `readers` names the fields of the dataclass, so the types fit.
    return Reader(lambda spot, value: VariantSettings(**read(spot, value)), read.schema)
