"""Choose the packages to install from a lock file with a format older than version 2.1.

Such a lock has no groups and markers of packages. Poetry resolves the dependencies again, among the
locked versions only (installer.py, solver.py, provider.py). This module gets the same result by
following the dependencies of the project through the locked packages.

A condition is a set of sets of markers (disjunctive normal form): a package is installed if all
markers of one of the sets hold.
"""

from __future__ import annotations

import re
from itertools import combinations
from typing import TYPE_CHECKING, Any

from .dependency_graph import (
    Graph,
    as_marker,
    canonical_names,
    packaging,
    read_groups,
    read_tables,
    satisfies,
)
from .layer_choice import MACHINE
from .lock_entries import DamagedError
from .markers import canonical, combine, evaluate

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from .dependency_graph import Dependency

Condition = frozenset[frozenset[str]]
ALWAYS: Condition = frozenset([frozenset()])
NEVER: Condition = frozenset()
Step = tuple[int, frozenset[str], Condition]
Reached = dict[tuple[int, str], Condition]


def with_graph(pyproject: Mapping[str, Any], lock: Mapping[str, Any]) -> dict[str, Any]:
    """Add to an older lock what `select` needs: a dependency graph, and the files of each package.

    Raises DamagedError, or another ValueError if the project's dependencies cannot be read.
    """
    project = pyproject.get("project", {})
    name = project.get("name") or pyproject.get("tool", {}).get("poetry", {}).get("name", "")
    packages = lock.get("package", [])
    for package in packages:
        check_entry(package)
    graph = Graph(
        project=canonical(name),
        groups=read_groups(pyproject),
        names=[canonical(package["name"]) for package in packages],
        requires=[read_tables(package.get("dependencies", {})) for package in packages],
        extras=[read_extras(package.get("extras", {})) for package in packages],
    )
    try:
        packages = with_files(packages, lock)
    except (AttributeError, LookupError, TypeError):
        raise DamagedError("its list of files") from None
    return {**lock, "package": packages, "graph": graph}


def check_entry(package: dict[str, Any]) -> None:
    """Raise DamagedError, with the name of the package, if its entry cannot be read."""
    try:
        packaging("version").Version(package["version"])
        requires = read_tables(package.get("dependencies", {}))
        read_extras(package.get("extras", {}))
        markers = [as_marker("python_version", package.get("python-versions", "*"))]
        markers += [dependency.marker for dependency in requires]
        for marker in markers:
            evaluate(marker, {"python_version": "3.12"}, set())
        texts = [package["name"], package.get("source", {}).get("reference", "")]
        texts += [text for dependency in requires for text in dependency.constraints]
        broken = not all(isinstance(text, str) for text in texts)
    except (AttributeError, LookupError, TypeError, ValueError):
        broken = True
    if broken:
        name = package.get("name") if isinstance(package, dict) else package
        raise DamagedError(f"the entry of {name}")


def read_extras(
    extras: Mapping[str, Iterable[str]],
) -> dict[str, list[tuple[str, frozenset[str]]]]:
    """Read a package's extras: names of packages, each with extras of that package."""
    found: dict[str, list[tuple[str, frozenset[str]]]] = {}
    for extra, texts in extras.items():
        matches = [re.match(r"([\w.-]+)\s*(?:\[([^]]*)\])?", text) for text in texts]
        found[canonical(extra)] = [
            (canonical(match[1]), canonical_names((match[2] or "").split(",")))
            for match in matches
            if match
        ]
    return found


def with_files(packages: list[dict[str, Any]], lock: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Add its files to each package: Poetry 1.1 listed them by name only, for all versions."""
    listed = lock.get("metadata", {}).get("files", {})
    names = [package["name"] for package in packages]
    result = []
    for package in packages:
        name = package["name"]
        files = choose_files(package, listed.get(name, []), alone=names.count(name) == 1)
        result.append({"files": files, **package})
    return result


def choose_files(
    package: Mapping[str, Any], files: list[dict[str, str]], *, alone: bool
) -> list[dict[str, str]]:
    """Choose a package's files among those of its name."""
    source = package.get("source", {})
    if source.get("type") == "file":
        return [file for file in files if file["file"] == source["url"].rpartition("/")[2]]
    version = re.compile(rf"-v?{re.escape(package['version'])}(-|\.(tar|zip|tgz))", re.IGNORECASE)
    return files if alone else [file for file in files if version.search(file["file"])]


def select_older(
    lock: Mapping[str, Any],
    groups: Collection[str],
    extras: set[str],
    environment: Mapping[str, str],
) -> list[tuple[Mapping[str, Any], str]]:
    """Choose the packages of a lock with a graph, as `select` does; the names are canonical.

    Raises ValueError if the lock is ambiguous.
    """
    packages, graph = lock["package"], lock["graph"]
    requested = [
        dependency
        for group, dependencies in graph.groups.items()
        if group in groups
        for dependency in dependencies
    ]
    versions = Versions(packages, graph, environment, extras)
    chosen = {
        machines: Walk(versions.for_machine(here)).choose_packages(requested)
        for machines, here in each_machine(versions.undecided_markers(requested), environment)
    }
    return [
        (package, join({them: found.get(number, NEVER) for them, found in chosen.items()}))
        for number, package in enumerate(packages)
        if any(number in found for found in chosen.values())
    ]


def each_machine(
    markers: Collection[str], environment: Mapping[str, str]
) -> list[tuple[frozenset[str], Mapping[str, str]]]:
    """List environments that differ only by the machine, each with the machines that give the same.

    "" is any machine that no marker names. If a marker compares machines in another way than by
    their names, the machine stays undecided.
    """
    text = " ".join(markers)
    named = re.findall(rf'{MACHINE} [!=]= "([^"]*)"', text)
    if len(named) < text.count(MACHINE):
        return [(frozenset([""]), environment)]
    equal: dict[tuple[bool | str, ...], list[str]] = {}
    for machine in sorted({"", *named}):
        here = {**environment, MACHINE: machine}
        results = tuple(evaluate(marker, here, set()) for marker in markers)
        equal.setdefault(results, []).append(machine)
    return [(frozenset(them), {**environment, MACHINE: them[0]}) for them in equal.values()]


def join(conditions: Mapping[frozenset[str], Condition]) -> str:
    """Join a package's conditions on groups of machines to one marker; "" always holds.

    The marker names only machines whose condition differs from that of any other machine, so other
    markers in the lock do not change it.
    """
    other = next(condition for machines, condition in conditions.items() if "" in machines)
    special: dict[Condition, list[str]] = {}
    for machines, condition in conditions.items():
        if condition != other:
            special.setdefault(condition, []).extend(machines)
    named = [name for machines in special.values() for name in machines]
    parts = [combine("and", [to_marker(other), *(f'{MACHINE} != "{name}"' for name in named)])]
    for condition, them in special.items():
        one = combine("or", [f'{MACHINE} == "{name}"' for name in them])
        parts.append(combine("and", [to_marker(condition), one]))
    text = combine("or", parts)
    return text if isinstance(text, str) else ""


def conjunction(one: Condition, other: Condition) -> Condition:
    """Return the condition that two conditions hold."""
    if one == ALWAYS or not other:
        return other
    return one if other == ALWAYS else simplify(a | b for a in one for b in other)


def simplify(terms: Iterable[frozenset[str]]) -> Condition:
    """Remove the sets that contain another one, since that is enough."""
    found = set(terms)
    return frozenset(term for term in found if not any(other < term for other in found))


def to_marker(condition: Condition) -> bool | str:
    """Return whether a condition always or never holds; if it depends, return it as a marker."""
    return combine("or", (combine("and", term) for term in condition))


class EveryExtra(set[str]):
    """The set of all extras, for markers of locked packages: `in_extras` is checked instead."""

    def __contains__(self, _: object) -> bool:
        """Contain anything."""
        return True


class UnclearError(ValueError):
    """The lock does not determine the version of a package."""

    fix = "Run `poetry lock` with Poetry 2.1 or newer, which keeps the locked versions."
    """What a failed build proposes."""


class Versions:
    """The locked versions in one environment, with some of the project's extras."""

    def __init__(
        self,
        packages: list[dict[str, Any]],
        graph: Graph,
        environment: Mapping[str, str],
        extras: set[str],
    ) -> None:
        """Start without any demand or excluded version."""
        self.packages = packages
        self.graph = graph
        self.environment = environment
        self.extras = extras
        self.numbers: dict[str, list[int]] = {}
        for number, name in enumerate(graph.names):
            self.numbers.setdefault(name, []).append(number)
        self.demands: dict[str, set[Dependency]] = {}  # dependencies that always hold
        self.excluded: set[tuple[int, str]] = set()  # versions, and extras, that are not possible
        self.conditions: dict[tuple[str, bool], Condition] = {}
        self.matches: dict[Dependency, list[int]] = {}

    def for_machine(self, environment: Mapping[str, str]) -> Versions:
        """Start again on another machine; which versions match a dependency does not change."""
        versions = Versions(self.packages, self.graph, environment, self.extras)
        versions.matches = self.matches
        return versions

    def undecided_markers(self, requested: Iterable[Dependency]) -> set[str]:
        """List the parts of markers that the environment leaves undecided."""
        markers = [(dependency.marker, True) for dependency in requested]
        markers += [
            (dependency.marker, False)
            for required in self.graph.requires
            for dependency in required
        ]
        conditions = [self.condition(marker, of_project=own) for marker, own in markers]
        return {text for condition in conditions for term in condition for text in term}

    def condition(self, marker: str, *, of_project: bool) -> Condition:
        """Return the condition of a marker in this environment."""
        key = (marker, of_project)
        if key not in self.conditions:
            extras = self.extras if of_project else EveryExtra()
            left = evaluate(marker, self.environment, extras)
            decided = ALWAYS if left else NEVER
            undecided = frozenset([frozenset([str(left)])])
            self.conditions[key] = undecided if isinstance(left, str) else decided
        return self.conditions[key]

    def settle(self, requested: list[Dependency]) -> None:
        """Collect demands and excluded versions until there are no more: each leads to others.

        A version that Poetry could install is never excluded, so no version is guessed.
        """
        size = -1
        while size != (size := len(self.excluded) + sum(map(len, self.demands.values()))):
            self.add_demands(requested)
            self.add_excluded()

    def add_demands(self, requested: list[Dependency]) -> None:
        """Add the project's dependencies, and those of packages with only one possible version."""
        sure: set[tuple[int, str]] = set()
        todo = [(dependency, True) for dependency in requested]
        while todo:
            dependency, of_project = todo.pop()
            if not self.always_holds(dependency, of_project=of_project):
                continue
            self.demands.setdefault(dependency.name, set()).add(dependency)
            possible = self.possible(dependency)
            for number in possible if len(possible) == 1 else ():
                extras = self.graph.with_extras(number, dependency.extras)
                new = {(number, extra) for extra in extras} - sure
                sure |= new
                todo += [(required, False) for key in new for required in self.graph.required(*key)]

    def add_excluded(self) -> None:
        """Add the versions, and their extras, with a dependency that no version satisfies."""
        for number, extras in enumerate(self.graph.extras):
            for extra in ("", *extras):
                if any(
                    dependency.name in self.numbers
                    and self.always_holds(dependency, of_project=False)
                    and not self.possible(dependency)
                    for dependency in self.graph.required(number, extra)
                ):
                    self.excluded.add((number, extra))

    def always_holds(self, dependency: Dependency, *, of_project: bool) -> bool:
        """Return whether a dependency holds in any environment."""
        condition = self.condition(dependency.marker, of_project=of_project)
        return condition == ALWAYS and not self.is_project(dependency)

    def is_project(self, dependency: Dependency) -> bool:
        """Return whether a dependency is the project itself."""
        return dependency.name == self.graph.project and dependency.name not in self.numbers

    def choose(self, dependency: Dependency) -> int:
        """Return the highest possible version. Raises UnclearError if there is no such version."""
        if dependency.name not in self.numbers:
            raise ValueError(f"poetry.lock lacks {dependency.name}, which is required")
        possible = self.possible(dependency)
        if len(possible) == 1:
            return possible[0]
        if not possible:
            raise UnclearError(
                f"poetry.lock has no version of {dependency.name} that works with Python"
                f" {self.environment['python_version']} and the other locked packages"
            )
        version = packaging("version").Version
        return max(possible, key=lambda number: version(self.packages[number]["version"]))

    def possible(self, dependency: Dependency) -> list[int]:
        """List the versions that satisfy a dependency and all demands."""
        demands = {dependency, *self.demands.get(dependency.name, ())}
        numbers = self.matching(dependency)
        return [number for number in numbers if all(self.fits(number, each) for each in demands)]

    def fits(self, number: int, dependency: Dependency) -> bool:
        """Return whether a version and its extras satisfy a dependency."""
        extras = self.graph.with_extras(number, dependency.extras)
        excluded = any((number, extra) in self.excluded for extra in extras)
        return number in self.matching(dependency) and not excluded

    def matching(self, dependency: Dependency) -> list[int]:
        """List the versions that satisfy a dependency and run on this Python."""
        if dependency not in self.matches:
            self.matches[dependency] = [
                number
                for number in self.numbers.get(dependency.name, [])
                if satisfies(self.packages[number], dependency) and self.runs(self.packages[number])
            ]
        return self.matches[dependency]

    def runs(self, package: Mapping[str, Any]) -> bool:
        """Return whether a package may run on this Python."""
        marker = as_marker("python_version", package.get("python-versions", "*"))
        return evaluate(marker, self.environment, set()) is not False


class Walk:
    """The packages that the dependencies reach in one environment."""

    def __init__(self, versions: Versions) -> None:
        """Take the versions to choose from."""
        self.versions = versions
        self.graph = versions.graph

    def choose_packages(self, requested: list[Dependency]) -> dict[int, Condition]:
        """Return the packages to install, each with its condition.

        Raises UnclearError if the lock is ambiguous.
        """
        versions = self.versions
        versions.settle(requested)
        solution = self.follow(self.steps(requested, ALWAYS, of_project=True))
        chosen = [
            dependency
            for dependency in requested
            if not dependency.optional or dependency.in_extras & versions.extras
        ]
        # Poetry also installs a chosen dependency where its own marker does not hold, if something
        # else requires the package there, even an extra that is not chosen.
        steps = [
            (number, dependency.extras, solution.get((number, extra), NEVER))
            for dependency in chosen
            if dependency.marker
            for number in versions.matching(dependency)
            for extra in sorted(dependency.extras)[:1] or [""]
        ]
        reached = self.follow(self.steps(chosen, ALWAYS, of_project=True) + steps)
        conditions = {
            number: self.possible(condition)
            for (number, extra), condition in reached.items()
            if not extra
        }
        self.refuse_duplicates(conditions)
        return {number: condition for number, condition in conditions.items() if condition}

    def follow(self, steps: list[Step]) -> Reached:
        """Return the condition of each reached package, with the extra "", and of its extras."""
        reached: Reached = {}
        todo = [*steps]
        while todo:
            number, extras, condition = todo.pop()
            for extra in self.graph.with_extras(number, extras):
                before = reached.get((number, extra), NEVER)
                after = simplify(before | condition)
                if after != before:
                    reached[number, extra] = after
                    requires = self.graph.required(number, extra)
                    todo += self.steps(requires, after, of_project=False)
        return reached

    def steps(
        self, dependencies: Iterable[Dependency], condition: Condition, *, of_project: bool
    ) -> list[Step]:
        """Return the packages that a package with this condition requires."""
        versions, found = self.versions, []
        for dependency in dependencies:
            here = conjunction(
                condition, versions.condition(dependency.marker, of_project=of_project)
            )
            if here and not versions.is_project(dependency):
                found.append((versions.choose(dependency), dependency.extras, here))
        return found

    def refuse_duplicates(self, conditions: Mapping[int, Condition]) -> None:
        """Raise UnclearError if two versions of a package would be installed together."""
        for name, numbers in self.versions.numbers.items():
            for one, other in combinations([n for n in numbers if n in conditions], 2):
                if True in self.outcomes(conjunction(conditions[one], conditions[other])):
                    raise UnclearError(
                        f"poetry.lock has several versions of {name}, and its old format does not"
                        " say which is for this image"
                    )

    def possible(self, condition: Condition) -> Condition:
        """Remove the sets of markers that hold on no machine."""
        return frozenset(term for term in condition if self.outcomes(frozenset([term])) != {False})

    def outcomes(self, condition: Condition) -> set[bool | str]:
        """Evaluate a condition for each machine that it names, and for another one."""
        left = to_marker(condition)
        if isinstance(left, bool):
            return {left}
        machines = ["", *re.findall('"([^"]*)"', left)]
        environment = self.versions.environment
        return {evaluate(left, {MACHINE: name, **environment}, set()) for name in machines}
