"""Choose the packages to install from a lock file older than version 2.1.

Such a lock lists neither groups nor markers of a package. Poetry resolves it once more, with
nothing but what is locked (installer.py, solver.py, provider.py). The same is found here by
following the dependencies of the locked packages from those of the project.

A condition says in which environments a package is wanted. It is a set of sets of markers in
normal form: all markers of one of the sets must hold.
"""

from __future__ import annotations

import re
from itertools import combinations
from typing import TYPE_CHECKING, Any

from .dependency_graph import (
    Graph,
    as_marker,
    is_asked,
    names,
    of_project,
    packaging,
    read_tables,
)
from .layer_choice import MACHINE
from .markers import combine, evaluate
from .wheel_files import canonical

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from .dependency_graph import Dependency

Condition = frozenset[frozenset[str]]
ALWAYS: Condition = frozenset([frozenset()])
NEVER: Condition = frozenset()
Step = tuple[int, frozenset[str], Condition]
Reached = dict[tuple[int, str], Condition]


class DamagedError(ValueError):
    """An entry of the lock is not what Poetry writes."""

    def __init__(self, what: str) -> None:
        """Say what is wrong, and what to type: this is all that a build says of it."""
        super().__init__(
            f"poetry.lock is damaged: {what} is not what Poetry writes:"
            " run `poetry lock --regenerate`"
        )
        self.what = what


def with_graph(pyproject: Mapping[str, Any], lock: Mapping[str, Any]) -> dict[str, Any]:
    """Add to an older lock what `select` needs: a graph, and the files at each package.

    Raises DamagedError, and ValueError for what else cannot be read.
    """
    project = pyproject.get("project", {})
    name = project.get("name") or pyproject.get("tool", {}).get("poetry", {}).get("name", "")
    packages = [as_written(it) for it in lock.get("package", [])]
    graph = Graph(
        project=canonical(name),
        asked=of_project(pyproject),
        names=[canonical(package["name"]) for package in packages],
        requires=[read_tables(package.get("dependencies", {})) for package in packages],
        extras=[read_extras(package.get("extras", {})) for package in packages],
    )
    try:
        packages = with_files(packages, lock)
    except (AttributeError, LookupError, TypeError):
        raise DamagedError("what it says of files") from None
    return {**lock, "package": packages, "graph": graph}


def as_written(package: dict[str, Any]) -> dict[str, Any]:
    """Give a package if its entry is one that can be read. Raises DamagedError with its name."""
    try:
        packaging("version").Version(package["version"])
        requires = read_tables(package.get("dependencies", {}))
        read_extras(package.get("extras", {}))
        markers = [as_marker("python_version", package.get("python-versions", "*"))]
        markers += [it.marker for it in requires]
        for marker in markers:
            evaluate(marker, {"python_version": "3.12"}, set())
        texts = [package["name"], package.get("source", {}).get("reference", "")]
        texts += [text for it in requires for text in it.constraints]
        broken = not all(isinstance(it, str) for it in texts)
    except (AttributeError, LookupError, TypeError, ValueError):
        broken = True
    if broken:
        name = package.get("name") if isinstance(package, dict) else package
        raise DamagedError(f"the entry of {name}")
    return package


def read_extras(
    extras: Mapping[str, Iterable[str]],
) -> dict[str, list[tuple[str, frozenset[str]]]]:
    """Read a package's extras: the names of their parts, each with the extras of its own."""
    found: dict[str, list[tuple[str, frozenset[str]]]] = {}
    for extra, texts in extras.items():
        parts = [re.match(r"([\w.-]+)\s*(?:\[([^]]*)\])?", text) for text in texts]
        found[canonical(extra)] = [
            (canonical(it[1]), names((it[2] or "").split(","))) for it in parts if it
        ]
    return found


def with_files(packages: list[dict[str, Any]], lock: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Put at each package its files, which Poetry 1.1 listed apart, for all versions of a name."""
    listed = lock.get("metadata", {}).get("files", {})
    every = [package["name"] for package in packages]
    return [
        {
            "files": files_of(it, listed.get(it["name"], []), alone=every.count(it["name"]) == 1),
            **it,
        }
        for it in packages
    ]


def files_of(
    package: Mapping[str, Any], files: list[dict[str, str]], *, alone: bool
) -> list[dict[str, str]]:
    """Choose a package's files among those of its name."""
    source = package.get("source", {})
    if source.get("type") == "file":
        return [it for it in files if it["file"] == source["url"].rpartition("/")[2]]
    version = re.compile(rf"-v?{re.escape(package['version'])}(-|\.(tar|zip|tgz))", re.IGNORECASE)
    return files if alone else [it for it in files if version.search(it["file"])]


def select_older(
    lock: Mapping[str, Any],
    groups: Collection[str],
    extras: set[str],
    environment: Mapping[str, str],
) -> list[tuple[Mapping[str, Any], str]]:
    """Choose the packages of a lock with a graph, as `select` does; the names are canonical.

    Raises ValueError where the lock does not tell.
    """
    packages, graph = lock["package"], lock["graph"]
    asked = [it for group, listed in graph.asked.items() if group in groups for it in listed]
    versions = Versions(packages, graph, environment, extras)
    worlds = {
        machines: Walk(versions.elsewhere(here)).choose_packages(asked)
        for machines, here in each_machine(versions.left_open(asked), environment)
    }
    return [
        (package, joined({it: world.get(number, NEVER) for it, world in worlds.items()}))
        for number, package in enumerate(packages)
        if any(number in world for world in worlds.values())
    ]


def each_machine(
    markers: Collection[str], environment: Mapping[str, str]
) -> list[tuple[frozenset[str], Mapping[str, str]]]:
    """List the environments that differ by their machine alone, each with all that are alike there.

    "" is any machine that no marker names. Where markers tell more of a machine than its name,
    which one it is stays open.
    """
    text = " ".join(markers)
    named = re.findall(rf'{MACHINE} [!=]= "([^"]*)"', text)
    if len(named) < text.count(MACHINE):
        return [(frozenset([""]), environment)]
    alike: dict[tuple[bool | str, ...], list[str]] = {}
    for machine in sorted({"", *named}):
        here = {**environment, MACHINE: machine}
        alike.setdefault(tuple(evaluate(it, here, set()) for it in markers), []).append(machine)
    return [(frozenset(them), {**environment, MACHINE: them[0]}) for them in alike.values()]


def joined(conditions: Mapping[frozenset[str], Condition]) -> str:
    """Write as a marker under which condition something is wanted on which machines; "" is always.

    Only those machines are named on which it differs from what it is on any other: what else the
    lock says of machines changes nothing.
    """
    other = next(condition for machines, condition in conditions.items() if "" in machines)
    special: dict[Condition, list[str]] = {}
    for machines, condition in conditions.items():
        if condition != other:
            special.setdefault(condition, []).extend(machines)
    named = [it for machines in special.values() for it in machines]
    parts = [combine("and", [decided(other), *(f'{MACHINE} != "{it}"' for it in named)])]
    for condition, them in special.items():
        one = combine("or", [f'{MACHINE} == "{it}"' for it in them])
        parts.append(combine("and", [decided(condition), one]))
    text = combine("or", parts)
    return text if isinstance(text, str) else ""


def both(one: Condition, other: Condition) -> Condition:
    """Join conditions that must hold together."""
    if one == ALWAYS or not other:
        return other
    return one if other == ALWAYS else shortest(a | b for a in one for b in other)


def shortest(terms: Iterable[frozenset[str]]) -> Condition:
    """Leave out the sets that demand more than another one."""
    found = set(terms)
    return frozenset(term for term in found if not any(other < term for other in found))


def decided(condition: Condition) -> bool | str:
    """Tell whether a condition always holds, or never, or write it as a marker."""
    return combine("or", (combine("and", term) for term in condition))


class EveryExtra(set[str]):
    """All extras: the `in_extras` of a package's dependencies say which are wanted."""

    def __contains__(self, _: object) -> bool:
        """Hold anything."""
        return True


class UnclearError(ValueError):
    """None of a package's locked versions is wanted for sure."""


class Versions:
    """The locked versions in one environment, with some of the project's extras."""

    def __init__(
        self,
        packages: list[dict[str, Any]],
        graph: Graph,
        environment: Mapping[str, str],
        extras: set[str],
    ) -> None:
        """Start with nothing known of any version."""
        self.packages = packages
        self.graph = graph
        self.environment = environment
        self.extras = extras
        self.numbers: dict[str, list[int]] = {}
        for number, name in enumerate(graph.names):
            self.numbers.setdefault(name, []).append(number)
        self.demands: dict[str, set[Dependency]] = {}  # what is asked for in any case
        self.dead: set[tuple[int, str]] = set()  # versions, and their extras, that cannot be here
        self.conditions: dict[tuple[str, bool], Condition] = {}
        self.known: dict[Dependency, list[int]] = {}

    def elsewhere(self, environment: Mapping[str, str]) -> Versions:
        """Start anew on another machine, which changes nothing in what suits whom."""
        versions = Versions(self.packages, self.graph, environment, self.extras)
        versions.known = self.known
        return versions

    def left_open(self, asked: Iterable[Dependency]) -> set[str]:
        """List what the environment leaves open of all markers."""
        required = [it for listed in self.graph.requires for it in listed]
        conditions = [self.condition(it.marker, of_project=False) for it in required]
        conditions += [self.condition(it.marker, of_project=True) for it in asked]
        return {text for condition in conditions for term in condition for text in term}

    def condition(self, marker: str, *, of_project: bool) -> Condition:
        """Tell under which condition a marker holds here."""
        key = (marker, of_project)
        if key not in self.conditions:
            extras = self.extras if of_project else EveryExtra()
            left = evaluate(marker, self.environment, extras)
            decided = ALWAYS if left else NEVER
            open_ = frozenset([frozenset([str(left)])])
            self.conditions[key] = open_ if isinstance(left, str) else decided
        return self.conditions[key]

    def settle(self, asked: list[Dependency]) -> None:
        """Find out what is asked for in any case, and which versions cannot be here.

        Each adds to the other, until nothing is added. No version is ever left out that
        Poetry could install, so neither is any guessed.
        """
        size = -1
        while size != (size := len(self.dead) + sum(map(len, self.demands.values()))):
            self.add_demands(asked)
            self.add_dead()

    def add_demands(self, asked: list[Dependency]) -> None:
        """Note what the project asks for, and whatever has but one version that can be here."""
        sure: set[tuple[int, str]] = set()
        todo = [(it, True) for it in asked]
        while todo:
            dependency, of_project = todo.pop()
            if not self.always(dependency, of_project=of_project):
                continue
            self.demands.setdefault(dependency.name, set()).add(dependency)
            possible = self.possible(dependency)
            for number in possible if len(possible) == 1 else ():
                extras = self.graph.with_extras(number, dependency.extras)
                new = {(number, it) for it in extras} - sure
                sure |= new
                todo += [(it, False) for one in new for it in self.graph.required(*one)]

    def add_dead(self) -> None:
        """Note the versions, and their extras, of whose requirements one cannot be met."""
        for number, extras in enumerate(self.graph.extras):
            for extra in ("", *extras):
                required = self.graph.required(number, extra)
                always = (it for it in required if self.always(it, of_project=False))
                if any(it.name in self.numbers and not self.possible(it) for it in always):
                    self.dead.add((number, extra))

    def always(self, dependency: Dependency, *, of_project: bool) -> bool:
        """Tell whether a dependency holds in any environment."""
        condition = self.condition(dependency.marker, of_project=of_project)
        return condition == ALWAYS and not self.is_project(dependency)

    def is_project(self, dependency: Dependency) -> bool:
        """Tell whether a dependency is the project itself."""
        return dependency.name == self.graph.project and dependency.name not in self.numbers

    def choose(self, dependency: Dependency) -> int:
        """Give the highest version that can be here. Raises UnclearError if none can."""
        if dependency.name not in self.numbers:
            raise ValueError(f"poetry.lock lacks {dependency.name}, which is required")
        possible = self.possible(dependency)
        if len(possible) == 1:
            return possible[0]
        if not possible:
            raise UnclearError(
                f"poetry.lock has no version of {dependency.name} that suits, with all that it"
                f" requires, Python {self.environment['python_version']} and whatever asks for it"
            )
        version = packaging("version").Version
        return max(possible, key=lambda it: version(self.packages[it]["version"]))

    def possible(self, dependency: Dependency) -> list[int]:
        """List the versions that suit a dependency, and whatever else is asked for in any case."""
        everything = {dependency, *self.demands.get(dependency.name, ())}
        numbers = self.suiting(dependency)
        return [number for number in numbers if all(self.fits(number, it) for it in everything)]

    def fits(self, number: int, dependency: Dependency) -> bool:
        """Tell whether a version suits a dependency, with the extras that this asks for."""
        extras = self.graph.with_extras(number, dependency.extras)
        dead = any((number, extra) in self.dead for extra in extras)
        return number in self.suiting(dependency) and not dead

    def suiting(self, dependency: Dependency) -> list[int]:
        """List the versions that a dependency asks for, of those that run on this Python."""
        if dependency not in self.known:
            self.known[dependency] = [
                it
                for it in self.numbers.get(dependency.name, [])
                if is_asked(self.packages[it], dependency) and self.runs(self.packages[it])
            ]
        return self.known[dependency]

    def runs(self, package: Mapping[str, Any]) -> bool:
        """Tell whether a package may run on this Python."""
        marker = as_marker("python_version", package.get("python-versions", "*"))
        return evaluate(marker, self.environment, set()) is not False


class Walk:
    """What is reached in one environment."""

    def __init__(self, versions: Versions) -> None:
        """Start where nothing is reached."""
        self.versions = versions
        self.graph = versions.graph

    def choose_packages(self, asked: list[Dependency]) -> dict[int, Condition]:
        """Give the packages that are installed, each with the condition for it.

        Raises UnclearError where the lock does not tell.
        """
        versions = self.versions
        versions.settle(asked)
        solution = self.follow(self.steps(asked, ALWAYS, of_project=True))
        chosen = [it for it in asked if not it.optional or it.in_extras & versions.extras]
        # Poetry installs what is chosen wherever anything else brings it along, even an extra that
        # is not chosen: its own marker counts no more.
        steps = [
            (number, it.extras, solution.get((number, extra), NEVER))
            for it in chosen
            if it.marker
            for number in versions.suiting(it)
            for extra in sorted(it.extras)[:1] or [""]
        ]
        reached = self.follow(self.steps(chosen, ALWAYS, of_project=True) + steps)
        conditions = {
            number: self.possible(it) for (number, extra), it in reached.items() if not extra
        }
        self.refuse_doubles(conditions)
        return {number: it for number, it in conditions.items() if it}

    def follow(self, steps: list[Step]) -> Reached:
        """Reach packages, with the extra "", and their extras."""
        reached: Reached = {}
        todo = [*steps]
        while todo:
            number, extras, condition = todo.pop()
            for extra in self.graph.with_extras(number, extras):
                before = reached.get((number, extra), NEVER)
                after = shortest(before | condition)
                if after != before:
                    reached[number, extra] = after
                    requires = self.graph.required(number, extra)
                    todo += self.steps(requires, after, of_project=False)
        return reached

    def steps(
        self, dependencies: Iterable[Dependency], condition: Condition, *, of_project: bool
    ) -> list[Step]:
        """Give the required packages, where the package that requires them has a condition."""
        found = []
        for it in dependencies:
            here = both(condition, self.versions.condition(it.marker, of_project=of_project))
            if here and not self.versions.is_project(it):
                found.append((self.versions.choose(it), it.extras, here))
        return found

    def refuse_doubles(self, conditions: Mapping[int, Condition]) -> None:
        """Raise UnclearError where two versions of a package would be installed together."""
        for name, numbers in self.versions.numbers.items():
            for one, other in combinations([it for it in numbers if it in conditions], 2):
                if True in self.outcomes(both(conditions[one], conditions[other])):
                    raise UnclearError(
                        f"poetry.lock has several versions of {name}, and its old format does not"
                        " tell which is for this image"
                    )

    def possible(self, condition: Condition) -> Condition:
        """Leave out what holds on no machine."""
        terms = (frozenset([term]) for term in condition)
        kept = (it for it in terms if any(left is not False for left in self.outcomes(it)))
        return frozenset(term for it in kept for term in it)

    def outcomes(self, condition: Condition) -> set[bool | str]:
        """Decide a condition for each machine that it names, and for another one."""
        left = decided(condition)
        if isinstance(left, bool):
            return {left}
        machines = ["", *re.findall('"([^"]*)"', left)]
        environment = self.versions.environment
        return {evaluate(left, {MACHINE: it, **environment}, set()) for it in machines}
