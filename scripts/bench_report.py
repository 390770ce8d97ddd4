"""Write the benchmark's tables and chart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import bench_chart
import bench_tables

if TYPE_CHECKING:
    from pathlib import Path

    from bench_results import Results


START = "<!-- bench: written by `make bench` -->\n"
END = "<!-- end of bench -->\n"


def write(results: Results, output: Path) -> list[Path]:
    """Write the tables, and the chart of the smallest size; return the paths.

    The suffix of `output` is replaced.
    """
    smallest = next(iter(results.titles))
    texts = {
        output.with_suffix(".md"): bench_tables.markdown(results),
        output.with_suffix(".svg"): bench_chart.svg(results, smallest),
    }
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")
    return list(texts)


def insert_summary(text: str, results: Results) -> str:
    """Write the short table between its marks in a README; raise ValueError without the marks."""
    before, start, rest = text.partition(START)
    _, end, after = rest.partition(END)
    if not (start and end):
        raise ValueError(f"the README has no marks for the benchmark. Add these:\n{START}{END}")
    summary = bench_tables.summary(results)
    return f"{before}{START}\n{summary}\n{END}{after}"
