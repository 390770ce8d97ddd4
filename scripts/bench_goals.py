"""The goals for builds without an engine, compared with what was measured."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

import bench_tables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench_results import Results

_SIZES = ("30", "77")
_VARIANT = "plugin-no-engine"
_OTHERS = ("article", "uv-documented")
_SHARES = {"cold": 0.4, "fresh-pure": 0.2}
"""The largest share of the seconds of the faster Dockerfile, by scenario."""
_BUMP = 2.0
"""The most seconds of a build after a new version number; it pulls no layer."""
_NO_LAYER = 20_000
"""More bytes than the configuration of a base image, which each build reads."""


def text(results: Results) -> str:
    """Return the goals as a table, or "" if nothing was measured for them."""
    rows = [row for size in _SIZES for row in _goals(results, size)]
    return bench_tables.table(("packages", "scenario", "goal", "measured", "met"), rows) * bool(
        rows
    )


def _goals(results: Results, size: str) -> Iterator[tuple[str, ...]]:
    def median(variant: str, scenario: str, name: str = "seconds") -> float | None:
        return results.median(size, variant, scenario, attrgetter(name))

    for scenario, share in _SHARES.items():
        own = median(_VARIANT, scenario)
        others = [found for name in _OTHERS if (found := median(name, scenario)) is not None]
        if own is not None and others:
            found = own / min(others)
            goal = f"≤ {share} of the faster Dockerfile"
            yield size, scenario, goal, f"{found:.2f}", _yes(found <= share)
    seconds, pulled = (median(_VARIANT, "version", name) for name in ("seconds", "pulled"))
    if seconds is not None and pulled is not None:
        is_met = seconds <= _BUMP and pulled < _NO_LAYER
        measured = f"{seconds:.1f} s, {pulled / 1e6:.2f} MB"
        yield size, "version", f"≤ {_BUMP:.0f} s, no layer pulled", measured, _yes(is_met)


def _yes(is_met: bool) -> str:
    return "yes" if is_met else "no"
