"""The way from a project's dependencies through those of the locked packages."""

from __future__ import annotations

import re
from itertools import combinations
from typing import TYPE_CHECKING

from .conditions import ALWAYS, NEVER, Condition, both, decided, shortest
from .layers import MACHINE
from .markers import evaluate
from .versions import UnclearError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .dependencies import Dependency
    from .versions import Versions

Reached = dict[tuple[int, str], Condition]
Step = tuple[int, frozenset[str], Condition]


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
        """Give the packages that are asked for, where whoever asks is reached under a condition."""
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
