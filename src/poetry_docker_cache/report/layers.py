"""The layers of dependencies in a build, and the packages that they install. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from poetry_docker_cache.buildx.build_stream import BuildStream

# Images for development and tests have layers with a prefix. For several images, the names of those
# that share the layer follow its own.
_LAYER = re.compile(
    r"(?:(?:dev|test)-)?(?:dependencies|source|direct|pure-\d+|native-\d+|own-[^\s.]+)(?:\.\S+)?"
)
# Printed by our scripts ("Installed") and Poetry; a commit may follow the version.
_INSTALLED = re.compile(r"^ +[-•] (?:Installed|Installing) (\S+) \(([^\s)]+)", re.MULTILINE)
_REUSED = re.compile(r"^ +- Reused (\S+), from ", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Package:
    """A locked package."""

    name: str
    version: str | None
    """None if unknown."""
    reused: bool = False
    """Whether it was copied from an earlier image (`reuse-image`) instead of installed."""


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A layer of dependencies, and whether this build had to install it."""

    name: str
    cached: bool | None
    """None if unknown, because BuildKit showed its progress itself."""
    packages: tuple[Package, ...] | None
    """None if unknown, for a cached layer of a vendored Dockerfile."""


def is_layer(stage: str) -> bool:
    """Return whether a stage installs a layer of dependencies."""
    return bool(_LAYER.fullmatch(stage))


def planned_layers(planned: Mapping[str, Sequence[Package]]) -> tuple[Layer, ...]:
    """Return the planned layers of dependencies; nothing is known about their build."""
    return tuple(
        Layer(name=name, cached=None, packages=_sorted(packages))
        for name, packages in planned.items()
    )


def read_layers(
    stream: BuildStream, known: Mapping[str, Sequence[Package]] | None = None
) -> tuple[Layer, ...]:
    """Return the layers of dependencies in a build.

    `known` are the planned layers with the packages that each may contain: the build may have those
    of other images, too. None for a vendored Dockerfile, which may have any layers. What a rebuilt
    layer really installed is read from its output. A step that BuildKit cancels counts as cached.
    """
    is_planned, known = known is not None, known or {}
    installed: dict[str, set[Package]] = {}
    names = set()
    for step in stream.steps.values():
        name = step.stage
        if is_layer(name) and step.instruction.startswith("RUN "):
            names.add(name)
            if step.ran:
                found = installed_packages(step.text, known.get(name, ()))
                installed.setdefault(name, set()).update(found)
    others = () if is_planned else sorted(names)
    return tuple(
        Layer(
            name=name,
            cached=name not in installed,
            packages=_sorted(installed.get(name, known.get(name))),
        )
        for name in (*(name for name in known if name in names), *others)
    )


def has_run(stream: BuildStream, stage: str) -> bool:
    """Return whether a command of a stage ran in a build, which was not cached then."""
    return any(
        step.ran and step.stage == stage and step.instruction.startswith("RUN ")
        for step in stream.steps.values()
    )


def installed_packages(output: str, known: Sequence[Package] = ()) -> Iterator[Package]:
    """Yield the packages that a step installed or reused, according to its output."""
    for name, version in _INSTALLED.findall(output):
        yield Package(name=str(canonicalize_name(name)), version=version)
    for name in map(canonicalize_name, _REUSED.findall(output)):
        versions = [package.version for package in known if package.name == name]
        version = versions[0] if len(versions) == 1 else None
        yield Package(name=str(name), version=version, reused=True)


def versions(packages: Iterable[Package]) -> dict[str, str]:
    """Return the version of each package; the last one if several are locked for its platforms."""
    return {package.name: package.version or "" for package in packages}


def _sorted(packages: Iterable[Package] | None) -> tuple[Package, ...] | None:
    if packages is None:
        return None
    return tuple(sorted(packages, key=lambda package: (package.name, package.version or "")))
