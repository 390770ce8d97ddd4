"""The way from a project's dependencies through those of the locked packages."""

from __future__ import annotations

import re
from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple

from .conditions import ALWAYS, NEVER, Condition, both, shortest, text_of
from .constraints import allows, as_marker, packaging
from .layers import MACHINE
from .markers import evaluate
from .names import canonical

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .dependencies import Dependency

Reached = dict[tuple[int, str], Condition]
Step = tuple[int, frozenset[str], Condition]
ROUNDS = 20
"""Versions that are not settled by then never are."""


class EveryExtra(set[str]):
    """All extras: which of a package's dependencies are wanted, their `in_extras` tells."""

    def __contains__(self, _: object) -> bool:
        """Hold anything."""
        return True


class UnclearError(ValueError):
    """Several versions of packages are locked, and nothing tells which of them is wanted."""

    def __init__(self, packages: Iterable[str]) -> None:
        """Name the packages."""
        several = f"poetry.lock has several versions of {', '.join(packages)}"
        super().__init__(f"{several}, and its old format does not tell which is for this image")


class Graph(NamedTuple):
    """What the project's groups ask for, and what each locked package requires, with its extras.

    An extra is the names of its parts, each with extras of its own.
    """

    project: str
    asked: Mapping[str, list[Dependency]]
    requires: list[list[Dependency]]
    extras: list[dict[str, list[tuple[str, frozenset[str]]]]]


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
        """Start with no version settled."""
        self.packages = packages
        self.graph = graph
        self.environment = environment
        self.extras = extras
        self.numbers: dict[str, list[int]] = {}
        for number, package in enumerate(packages):
            self.numbers.setdefault(canonical(package["name"]), []).append(number)
        self.asking: dict[str, set[Dependency]] = {}
        self.demands: dict[str, set[Dependency]] = {}
        self.conditions: dict[tuple[str, bool], Condition] = {}
        self.known: dict[Dependency, list[int]] = {}

    def choose_packages(self, asked: list[Dependency]) -> dict[int, Condition]:
        """Give the packages that are installed, each with the condition for it.

        Raises UnclearError where the lock does not tell.
        """
        solution = self.settle(asked)
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

    def machines(self, asked: Iterable[Dependency]) -> list[str]:
        """List those that markers name; none where a marker knows more of them than their name."""
        required = [it for listed in self.graph.requires for it in listed]
        conditions = [self.condition(it.marker, of_project=False) for it in required]
        conditions += [self.condition(it.marker, of_project=True) for it in asked]
        text = " ".join(map(text_of, conditions))
        named = re.findall(rf'{MACHINE} [!=]= "([^"]*)"', text)
        return sorted({*named}) if len(named) == text.count(MACHINE) else []

    def settle(self, asked: list[Dependency]) -> Reached:
        """Reach what all of these ask for, in versions that suit everybody who always asks.

        Who asks depends on the versions of others, so it is tried until it stays as it is. Raises
        UnclearError if it does not.
        """
        for _ in range(ROUNDS):
            self.asking = {}
            reached = self.follow(self.steps(asked, ALWAYS, of_project=True))
            if self.asking == self.demands:
                return reached
            self.demands = self.asking
        raise UnclearError(sorted(self.demands))

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
            itself = it.name == self.graph.project and it.name not in self.numbers
            if here and not itself:
                found.append((self.choose(it), it.extras, here))
                if here == ALWAYS and len(self.numbers[it.name]) > 1:
                    self.asking.setdefault(it.name, set()).add(it)
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
        """Give the highest version that suits, also to who always asks for the same package."""
        numbers = self.numbers.get(dependency.name)
        if not numbers:
            raise ValueError(f"poetry.lock lacks {dependency.name}, which is required")
        if len(numbers) == 1:
            return numbers[0]
        suiting = self.suiting(dependency)
        if not suiting:
            raise UnclearError([dependency.name])
        others = self.demands.get(dependency.name, ())
        agreed = [it for it in suiting if all(it in self.suiting(other) for other in others)]
        version = packaging("version").Version
        return max(agreed or suiting, key=lambda it: version(self.packages[it]["version"]))

    def suiting(self, dependency: Dependency) -> list[int]:
        """List the versions that are asked for: those for this Python, if there are any."""
        if dependency not in self.known:
            numbers = self.numbers.get(dependency.name, [])
            suiting = [it for it in numbers if is_asked(self.packages[it], dependency)]
            fitting = [it for it in suiting if self.runs(self.packages[it])]
            self.known[dependency] = fitting or suiting
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
                    raise UnclearError([name])

    def possible(self, condition: Condition) -> Condition:
        """Leave out what holds on no machine."""
        terms = (frozenset([term]) for term in condition)
        kept = (it for it in terms if any(left is not False for left in self.outcomes(it)))
        return frozenset(term for it in kept for term in it)

    def outcomes(self, condition: Condition) -> set[bool | str]:
        """Decide a condition for each machine that it names, and for another one."""
        marker = text_of(condition)
        machines = ["", *re.findall('"([^"]*)"', marker)]
        return {evaluate(marker, {**self.environment, MACHINE: it}, set()) for it in machines}


def is_asked(package: Mapping[str, Any], dependency: Dependency) -> bool:
    """Tell whether a locked package is what a dependency asks for."""
    source = package.get("source", {})
    kind = source.get("type", "legacy")
    index = f"index {source.get('reference', 'pypi').lower()}"
    origin = {"legacy": index, "directory": "path", "file": "path"}.get(kind, kind)
    if dependency.origin and dependency.origin != origin:
        return False
    if dependency.origin and not dependency.origin.startswith("index "):
        return True
    return all(allows(it, package["version"]) for it in dependency.constraints)
