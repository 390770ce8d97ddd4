"""How large the packages of an image are, from wherever it is known. Pure."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from packaging.version import InvalidVersion, Version

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from poetry_docker_cache.inside.manifest.layer_choice import Kind

Origin = Literal["environment", "image", "index"]
ORIGINS: tuple[Origin, ...] = ("environment", "image", "index")
"""Where sizes come from, the nearest at hand first."""

Unit = Literal["installed", "download"]

Sizes = dict[tuple[str, str], int]
"""Bytes by the names of packages and their locked versions: images may have several of one."""

UNPACKED = 3.5
"""A wheel is a compressed archive: installed, its files take about so many times its bytes, as
those of 39 packages of a web API did."""


@dataclass(frozen=True, kw_only=True)
class LockedPackage:
    """A package of the image, as poetry.lock has it."""

    name: str
    version: str
    kind: Kind
    files: tuple[str, ...] = ()
    source: str | None = None
    """The name of the package source; None is Poetry's default."""
    family: str = ""
    """Those of several images that have it, as the name of its layer ends."""

    @property
    def key(self) -> tuple[str, str]:
        """What its size is known by."""
        return self.name, self.version


@dataclass(frozen=True, kw_only=True)
class SizedPackage:
    """A package with the bytes that it counts for."""

    name: str
    version: str
    kind: Kind
    size: int
    origin: Origin | None
    """Who knows the size; None if nobody does: then it is the median of its kind."""
    exact: bool = True
    """False for a size in the other unit, converted."""
    family: str = ""
    """As above."""


def unit_of(found: Mapping[Origin, Sizes]) -> Unit:
    """What the sizes count: bytes installed, unless only the index knows any."""
    return "installed" if found.get("environment") or found.get("image") else "download"


def settle(
    packages: Iterable[LockedPackage], found: Mapping[Origin, Sizes]
) -> tuple[SizedPackage, ...]:
    """Give each package its size from the first origin that has it; the heaviest first."""
    unit = unit_of(found)
    listed = {(package.name, package.family): package for package in packages}
    known: list[SizedPackage] = []
    unknown: list[LockedPackage] = []
    for package in listed.values():
        origin = next((it for it in ORIGINS if package.key in found.get(it, {})), None)
        if origin is None:
            unknown.append(package)
            continue
        exact = (origin == "index") == (unit == "download")
        size = round(found[origin][package.key] * (1 if exact else UNPACKED))
        known.append(_sized(package, size, origin, exact=exact))
    guessed = [_sized(package, _median(known, package.kind), None) for package in unknown]
    return tuple(sorted([*known, *guessed], key=lambda it: (-it.size, it.name, it.family)))


def same_version(one: str, other: str) -> bool:
    """Whether two spellings mean one version."""
    try:
        return Version(one) == Version(other)
    except InvalidVersion:
        return one == other


def locked_sizes(
    packages: Iterable[LockedPackage], installed: Mapping[str, tuple[str, int]]
) -> Sizes:
    """Of what is installed (version and bytes by name), that which is the locked version."""
    return {
        package.key: installed[package.name][1]
        for package in packages
        if package.name in installed and same_version(package.version, installed[package.name][0])
    }


def _sized(
    package: LockedPackage, size: int, origin: Origin | None, *, exact: bool = True
) -> SizedPackage:
    return SizedPackage(
        name=package.name,
        version=package.version,
        kind=package.kind,
        size=size,
        origin=origin,
        exact=exact,
        family=package.family,
    )


def _median(known: Sequence[SizedPackage], kind: Kind) -> int:
    sizes = [it.size for it in known if it.kind == kind] or [it.size for it in known]
    return int(statistics.median(sizes)) if sizes else 0
