"""Readers of the settings of images for development and tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from poetry_docker_cache.settings.values import (
    argv,
    boolean,
    env,
    fields,
    project_path,
    set_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from poetry_docker_cache.settings.setting_errors import Spot

_NAMES = "a list of names"
_READERS: dict[str, tuple[Callable[[Spot, object], object], str]] = {
    "command": (argv, "a list: the program and its arguments"),
    "env": (env, "a table of strings"),
}
_OF_TESTS: dict[str, tuple[Callable[[Spot, object], object], str]] = {
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


def reader(
    names: Callable[[Spot, object], tuple[str, ...]], *, tests: bool
) -> Callable[[Spot, object], VariantSettings]:
    """Make a reader of the table for development or tests; `names` reads groups and extras."""
    readers = {"groups": (names, _NAMES), "extras": (names, _NAMES), **_READERS}
    if tests:
        readers |= _OF_TESTS

    def read(spot: Spot, value: object) -> VariantSettings:
        found = fields(spot, value, tuple(readers))
        # `readers` names the fields of the dataclass, so the types fit.
        values = {
            name: readers[name][0](spot.entry(name, takes=readers[name][1]), each)
            for name, each in found.items()
        }
        return VariantSettings(**values)  # type: ignore[arg-type]

    return read
