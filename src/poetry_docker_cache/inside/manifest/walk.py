"""The way from a project's dependencies through those of the locked packages."""

from __future__ import annotations

import re
from itertools import combinations
from typing import TYPE_CHECKING, Any

from .conditions import ALWAYS, NEVER, Condition, both, decided, shortest
from .constraints import as_marker, packaging
from .dependencies import is_asked
from .layers import MACHINE
from .markers import evaluate
from .names import canonical

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .dependencies import Dependency, Graph

Reached = dict[tuple[int, str], Condition]
Step = tuple[int, frozenset[str], Condition]


class EveryExtra(set[str]):
    """All extras: which of a package's dependencies are wanted, their `in_extras` tells."""

    def __contains__(self, _: object) -> bool:
        """Hold anything."""
        return True


class UnclearError(ValueError):
    """None of a package's locked versions is wanted for sure."""


class Walk:
    """What is reached in one environment, with some of the project's extras.

    Packages are known by their number in the lock, which may have one of a name more than once.
    """

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
        for number, package in enumerate(packages):
            self.numbers.setdefault(canonical(package["name"]), []).append(number)
        self.demands: dict[str, set[Dependency]] = {}  # what is asked for in any case
        self.dead: set[tuple[int, str]] = set()  # versions, and their extras, that cannot be here
        self.conditions: dict[tuple[str, bool], Condition] = {}
        self.known: dict[Dependency, list[int]] = {}

    def choose_packages(self, asked: list[Dependency]) -> dict[int, Condition]:
        """Give the packages that are installed, each with the condition for it.

        Raises UnclearError where the lock does not tell.
        """
        self.settle(asked)
        solution = self.follow(self.steps(asked, ALWAYS, of_project=True))
        chosen = [it for it in asked if not it.optional or it.in_extras & self.extras]
        # Poetry installs what is chosen wherever anything else brings it along, even an extra that
        # is not chosen: its own marker counts no more.
        steps = [
            (number, it.extras, solution.get((number, extra), NEVER))
            for it in chosen
            if it.marker
            for number in self.suiting(it)
            for extra in sorted(it.extras)[:1] or [""]
        ]
        reached = self.follow(self.steps(chosen, ALWAYS, of_project=True) + steps)
        conditions = {
            number: self.possible(it) for (number, extra), it in reached.items() if not extra
        }
        self.refuse_doubles(conditions)
        return {number: it for number, it in conditions.items() if it}

    def elsewhere(self, environment: Mapping[str, str]) -> Walk:
        """Start anew on another machine, which changes nothing in what suits whom."""
        walk = Walk(self.packages, self.graph, environment, self.extras)
        walk.known = self.known
        return walk

    def left_open(self, asked: Iterable[Dependency]) -> set[str]:
        """List what the environment leaves open of all markers."""
        required = [it for listed in self.graph.requires for it in listed]
        conditions = [self.condition(it.marker, of_project=False) for it in required]
        conditions += [self.condition(it.marker, of_project=True) for it in asked]
        return {text for condition in conditions for term in condition for text in term}

    def settle(self, asked: list[Dependency]) -> None:
        """Find out what is asked for in any case, and which versions cannot be here.

        Each tells more of the other, until nothing is added. No version is ever left out that
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
            possible = self.possible_versions(dependency)
            for number in possible if len(possible) == 1 else ():
                new = {(number, it) for it in self.with_extras(number, dependency.extras)} - sure
                sure |= new
                todo += [(it, False) for one in new for it in self.required(*one)]

    def add_dead(self) -> None:
        """Note the versions, and their extras, of whose requirements one cannot be met."""
        for number, extras in enumerate(self.graph.extras):
            for extra in ("", *extras):
                required = self.required(number, extra)
                always = (it for it in required if self.always(it, of_project=False))
                if any(it.name in self.numbers and not self.possible_versions(it) for it in always):
                    self.dead.add((number, extra))

    def always(self, dependency: Dependency, *, of_project: bool) -> bool:
        """Tell whether whoever depends on a package does so in any case."""
        condition = self.condition(dependency.marker, of_project=of_project)
        return condition == ALWAYS and not self.is_project(dependency)

    def is_project(self, dependency: Dependency) -> bool:
        """Tell whether a dependency is the project itself."""
        return dependency.name == self.graph.project and dependency.name not in self.numbers

    def follow(self, steps: list[Step]) -> Reached:
        """Reach packages, with the extra "", and their extras."""
        reached: Reached = {}
        todo = [*steps]
        while todo:
            number, extras, condition = todo.pop()
            for extra in self.with_extras(number, extras):
                before = reached.get((number, extra), NEVER)
                after = shortest(before | condition)
                if after != before:
                    reached[number, extra] = after
                    requires = self.required(number, extra)
                    todo += self.steps(requires, after, of_project=False)
        return reached

    def steps(
        self, dependencies: Iterable[Dependency], condition: Condition, *, of_project: bool
    ) -> list[Step]:
        """Give the packages that are asked for, where whoever asks is reached under a condition."""
        found = []
        for it in dependencies:
            here = both(condition, self.condition(it.marker, of_project=of_project))
            if here and not self.is_project(it):
                found.append((self.choose(it), it.extras, here))
        return found

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

    def with_extras(self, number: int, extras: frozenset[str]) -> list[str]:
        """List "", the package itself, and the extras that are asked for with those they take."""
        if not extras:
            return [""]
        name, found, todo = canonical(self.packages[number]["name"]), {""}, sorted(extras)
        while todo:
            extra = todo.pop()
            if extra not in found:
                found.add(extra)
                parts = self.graph.extras[number].get(extra, ())
                todo += [it for part, more in parts if part == name for it in more]
        return sorted(found)

    def required(self, number: int, extra: str) -> list[Dependency]:
        """List what a package always requires, or what one of its extras adds to that."""
        requires = self.graph.requires[number]
        if not extra:
            return [it for it in requires if not it.optional]
        parts = {name for name, _ in self.graph.extras[number].get(extra, ())}
        optional = [it for it in requires if it.optional and it.name in parts]
        return [it for it in optional if not it.in_extras or extra in it.in_extras]

    def choose(self, dependency: Dependency) -> int:
        """Give the highest version that can be here. Raises UnclearError if there is none."""
        if dependency.name not in self.numbers:
            raise ValueError(f"poetry.lock lacks {dependency.name}, which is required")
        possible = self.possible_versions(dependency)
        if len(possible) == 1:
            return possible[0]
        if not possible:
            raise UnclearError(
                f"poetry.lock has no version of {dependency.name} that suits, with all that it"
                f" requires, Python {self.environment['python_version']} and whatever asks for it"
            )
        version = packaging("version").Version
        return max(possible, key=lambda it: version(self.packages[it]["version"]))

    def possible_versions(self, dependency: Dependency) -> list[int]:
        """List the versions that suit a dependency, and whatever else is asked for in any case."""
        everything = {dependency, *self.demands.get(dependency.name, ())}
        numbers = self.suiting(dependency)
        return [number for number in numbers if all(self.fits(number, it) for it in everything)]

    def fits(self, number: int, dependency: Dependency) -> bool:
        """Tell whether a version suits a dependency, with the extras that this asks for."""
        extras = self.with_extras(number, dependency.extras)
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

    def refuse_doubles(self, conditions: Mapping[int, Condition]) -> None:
        """Raise UnclearError where two versions of a package would be installed together."""
        for name, numbers in self.numbers.items():
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
        return {evaluate(left, {MACHINE: it, **self.environment}, set()) for it in machines}
