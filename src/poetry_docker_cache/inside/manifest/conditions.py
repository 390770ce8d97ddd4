"""Under which condition a package is wanted: of what the environment leaves open, in normal form.

A condition is a set of sets of markers: one of the sets must hold, and all that is in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .markers import combine

if TYPE_CHECKING:
    from collections.abc import Iterable

Condition = frozenset[frozenset[str]]
ALWAYS: Condition = frozenset([frozenset()])
NEVER: Condition = frozenset()


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
