"""What the lock file wants in an image for one platform. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from poetry_docker_cache.inside.manifest.layer_choice import MACHINE
from poetry_docker_cache.inside.manifest.markers import evaluate
from poetry_docker_cache.inside.manifest.target import Target

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from poetry_docker_cache.plan.image_plan import Wheel

_PATH = "path-"


@dataclass(frozen=True, kw_only=True)
class LockedVersion:
    """A version of a package that the image should have, or may have."""

    version: str | None
    """None for any."""
    required: bool
    commit: str = ""
    """The commit of a git dependency."""


Locked = dict[str, list[LockedVersion]]
"""By canonical name. Several versions have markers that exclude each other."""


def locked_contents(
    packages: Iterable[Mapping[str, Any]],
    wheels: Iterable[Wheel],
    *,
    python: str,
    machine: str,
) -> Locked:
    """Return what the image should have; `packages` and `wheels` have undecided markers.

    `python` is the full version if it is known. A marker that still depends on the machine, such as
    on its kernel, allows a package without requiring it.
    """
    environment = {**Target.linux(python=python).environment, MACHINE: machine}
    found: Locked = {}

    def add(name: str, marker: str, version: str | None, commit: str = "") -> None:
        wanted = evaluate(marker, environment, set())
        if wanted:
            locked = LockedVersion(version=version, required=wanted is True, commit=commit)
            found.setdefault(str(canonicalize_name(name)), []).append(locked)

    for package in packages:
        source = package.get("source", {})
        commit = source.get("resolved_reference", "") if source.get("type") == "git" else ""
        add(package["name"], package["marker"], package["version"], commit)
    for wheel in wheels:
        if not wheel.is_application:
            # Poetry installs a path dependency in the version that its folder has now.
            add(wheel.name.removeprefix(_PATH).partition(".")[0], wheel.marker, None)
    return found
