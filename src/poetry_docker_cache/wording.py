"""Turns of phrase that several notes and errors have."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence


def did_you_mean(name: str, known: Collection[str], *, cutoff: float = 0.6) -> str:
    """The question that a fix begins with; empty where no known name is near.

    >>> did_you_mean("worke", ["api", "worker"])
    'Did you mean worker? '
    """
    near = difflib.get_close_matches(name, known, n=1, cutoff=cutoff)
    return f"Did you mean {near[0]}? " if near else ""


def listing(names: Sequence[str], most: int = 5) -> str:
    """The names, of which the last ones are only counted.

    >>> listing(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
