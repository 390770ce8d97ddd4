"""Format names, sizes and suggestions for messages."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

_IN_MEGABYTES = 100_000
"""Smaller sizes are shown in kilobytes."""


def did_you_mean(name: str, known: Collection[str], *, cutoff: float = 0.6) -> str:
    """Return a suggestion, to put before a fix; empty if no known name is similar.

    >>> did_you_mean("worke", ["api", "worker"])
    'Did you mean worker? '
    """
    near = difflib.get_close_matches(name, known, n=1, cutoff=cutoff)
    return f"Did you mean {near[0]}? " if near else ""


def listing(names: Sequence[str], most: int = 5) -> str:
    """List the first names and count the others.

    >>> listing(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def megabytes(size: float) -> str:
    """Format bytes as Docker does, in units of 1000.

    >>> megabytes(84_120_000), megabytes(2_000)
    ('84.1 MB', '2.0 kB')
    """
    return f"{size / 1e6:.1f} MB" if size >= _IN_MEGABYTES else f"{size / 1e3:.1f} kB"
