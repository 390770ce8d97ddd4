"""The locked packages of an image for one platform: their files, and which needs which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from poetry_docker_cache.docker.platforms import MACHINES
from poetry_docker_cache.inside.manifest.dependency_graph import (
    MAIN,
    Dependency,
    Graph,
    read_groups,
    read_tables,
    satisfies,
)
from poetry_docker_cache.inside.manifest.layer_choice import DIRECT_TYPES, MACHINE, allowed
from poetry_docker_cache.inside.manifest.markers import evaluate
from poetry_docker_cache.inside.manifest.old_locks import read_extras
from poetry_docker_cache.inside.manifest.target import Target
from poetry_docker_cache.inside.manifest.wheel_files import fits_machine, usable_files
from poetry_docker_cache.sbom.licences import NO_LICENCES, Licences

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from poetry_docker_cache.plan.image_plan import Dependencies

_WHEEL = ".whl"


@dataclass(frozen=True, kw_only=True)
class LockedFile:
    """A file that the package is installed or built from."""

    name: str
    hashes: tuple[str, ...]
    """Such as `sha256:…`, as the lock file has them."""


@dataclass(frozen=True, kw_only=True)
class InstalledPackage:
    """A package of the image."""

    name: str
    version: str
    source: Mapping[str, str]
    """As the lock file has it; empty for the usual index."""
    groups: tuple[str, ...]
    """The chosen groups that it belongs to; empty if an older lock file does not have them."""
    files: tuple[LockedFile, ...]
    """Those that fit the platform."""
    marker: str
    """What only the running system decides, such as the version of its kernel; usually empty."""
    needs: tuple[int, ...]
    """The positions of the packages that it depends on."""
    licences: Licences = NO_LICENCES


@dataclass(frozen=True, kw_only=True)
class Inventory:
    """The packages of an image for one platform."""

    packages: tuple[InstalledPackage, ...]
    direct: tuple[int, ...]
    """The positions of the packages that the project itself depends on."""


def take_inventory(  # noqa: PLR0913  # all that determines the packages
    locked: Iterable[Mapping[str, Any]],
    pyproject: Mapping[str, Any],
    dependencies: Dependencies,
    *,
    python: str,
    platform: str,
    groups: Sequence[str],
    extras: Sequence[str],
) -> Inventory:
    """List the packages for a platform; `locked` are those that the image may have.

    Each has a `marker` that only the platform decides, as `locked_packages` returns it, and may
    have `licences`.
    """
    machine = MACHINES[platform]
    target = Target.linux(python, libc=dependencies.libc, machines=(machine,))
    environment = {**target.environment, MACHINE: machine}
    found = [
        (package, left)
        for package in locked
        if (left := evaluate(package["marker"], environment, set()))
    ]
    found.sort(key=lambda pair: (canonicalize_name(pair[0]["name"]), pair[0]["version"]))
    tables = [package for package, _ in found]
    walk = _Walk(pyproject, tables, environment)
    direct = walk.follow(groups, extras)
    return Inventory(
        packages=tuple(
            InstalledPackage(
                name=str(canonicalize_name(package["name"])),
                version=package["version"],
                source=package.get("source", {}),
                groups=tuple(group for group in groups if group in _groups(package)),
                files=tuple(_files(package, target, dependencies, machine)),
                marker="" if left is True else str(left),
                needs=tuple(sorted(walk.needs[number])),
                licences=package.get("licences", NO_LICENCES),
            )
            for number, (package, left) in enumerate(found)
        ),
        direct=tuple(sorted(direct)),
    )


def _groups(package: Mapping[str, Any]) -> set[str]:
    return {str(canonicalize_name(group)) for group in package.get("groups", ())}


def _files(
    package: Mapping[str, Any], target: Target, dependencies: Dependencies, machine: str
) -> Iterator[LockedFile]:
    """Yield the files that may be installed: wheels, or without a fitting one what is built."""
    locked = package.get("files", ())
    if package.get("source", {}).get("type") not in DIRECT_TYPES:
        wheels, sdists = allowed(package["name"], dependencies.no_binary, dependencies.only_binary)
        usable = usable_files(locked, target, wheels=wheels, sdists=sdists)
        built = [file for file in usable if not file["file"].endswith(_WHEEL)]
        fitting = [file for file in usable if fits_machine(file["file"], machine)]
        locked = [file for file in fitting if file not in built] or built
    hashes: dict[str, list[str]] = {}
    for file in locked:
        hashes.setdefault(file["file"], []).append(file["hash"])
    for name, found in sorted(hashes.items()):
        yield LockedFile(name=name, hashes=tuple(sorted(found)))


class _Walk:
    """Follows the dependencies of the project through the packages of the image."""

    def __init__(
        self,
        pyproject: Mapping[str, Any],
        packages: Sequence[Mapping[str, Any]],
        environment: Mapping[str, str],
    ) -> None:
        project = pyproject.get("project", {})
        poetry = pyproject.get("tool", {}).get("poetry", {})
        self._packages = packages
        self._environment = environment
        self._graph = Graph(
            project=str(canonicalize_name(project.get("name") or poetry.get("name") or "")),
            groups=read_groups(pyproject),
            names=[str(canonicalize_name(package["name"])) for package in packages],
            requires=[read_tables(package.get("dependencies", {})) for package in packages],
            extras=[read_extras(package.get("extras", {})) for package in packages],
        )
        self.needs: list[set[int]] = [set() for _ in packages]

    def follow(self, groups: Sequence[str], extras: Sequence[str]) -> set[int]:
        """Fill `needs`; return the packages that the project itself depends on."""
        active = self._with_included(set(extras))
        direct: set[int] = set()
        todo: list[tuple[int, str]] = []
        for group, required in self._graph.groups.items():
            for dependency in required if group in groups else ():
                if not dependency.optional or dependency.in_extras & active:
                    reached = self._reached(dependency, active)
                    direct |= {number for number, _ in reached}
                    todo += reached
        seen: set[tuple[int, str]] = set()
        while todo:
            step = todo.pop()
            if step in seen:
                continue
            seen.add(step)
            number, extra = step
            for dependency in self._graph.required(number, extra):
                reached = self._reached(dependency, {extra})
                self.needs[number] |= {other for other, _ in reached if other != number}
                todo += reached
        return direct

    def _with_included(self, extras: set[str]) -> set[str]:
        """Add the extras that others include: `all = ["shop[web]"]`."""
        while True:
            more = {
                extra
                for dependency in self._graph.groups.get(MAIN, ())
                if dependency.name == self._graph.project and dependency.in_extras & extras
                for extra in dependency.extras
            }
            if more <= extras:
                return extras
            extras |= more

    def _reached(self, dependency: Dependency, extras: set[str]) -> list[tuple[int, str]]:
        """Return the packages that a dependency selects, each with an extra or an empty text."""
        if not evaluate(dependency.marker, self._environment, extras):
            return []
        named = [number for number, name in enumerate(self._graph.names) if name == dependency.name]
        fitting = [number for number in named if satisfies(self._packages[number], dependency)]
        return [
            (number, extra)
            for number in fitting or named
            for extra in self._graph.with_extras(number, dependency.extras)
        ]
