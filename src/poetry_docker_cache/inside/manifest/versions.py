"""Which locked versions of a package can be installed: those that suit all that asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .conditions import ALWAYS, NEVER, Condition
from .constraints import as_marker, packaging
from .dependencies import is_asked
from .markers import evaluate

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .dependencies import Dependency, Graph


class EveryExtra(set[str]):
    """All extras: which of a package's dependencies are wanted, their `in_extras` tells."""

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
        """Tell whether whoever depends on a package does so in any case."""
        condition = self.condition(dependency.marker, of_project=of_project)
        return condition == ALWAYS and not self.is_project(dependency)

    def is_project(self, dependency: Dependency) -> bool:
        """Tell whether a dependency is the project itself."""
        return dependency.name == self.graph.project and dependency.name not in self.numbers

    def choose(self, dependency: Dependency) -> int:
        """Give the highest version that can be here. Raises UnclearError if there is none."""
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
