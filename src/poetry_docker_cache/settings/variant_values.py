"""Readers of the settings of images for development and tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from poetry_docker_cache.settings import install_values
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
    "groups": (set_of(install_values.name), _NAMES),
    "extras": (set_of(install_values.name), _NAMES),
    "command": (argv, "a list: the program and its arguments"),
    "env": (env, "a table of strings"),
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


def for_development(spot: Spot, value: object) -> VariantSettings:
    """Read the settings of the image for development."""
    return _read(spot, value, ("groups", "extras", "command", "env"))


def for_tests(spot: Spot, value: object) -> VariantSettings:
    """Read the settings of the image for tests."""
    return _read(spot, value, tuple(_READERS))


def _read(spot: Spot, value: object, known: tuple[str, ...]) -> VariantSettings:
    found = fields(spot, value, known)
    # `_READERS` names the fields of the dataclass, so the types fit.
    read = {
        name: _READERS[name][0](spot.entry(name, takes=_READERS[name][1]), each)
        for name, each in found.items()
    }
    return VariantSettings(**read)  # type: ignore[arg-type]
