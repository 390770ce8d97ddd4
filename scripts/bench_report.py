"""Writes what people read of the benchmark's results, beside their data."""

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
    """Write the Markdown and the chart of the smallest size; the output's suffix does not count."""
    smallest = next(iter(results.titles))
    texts = {
        output.with_suffix(".md"): bench_tables.markdown(results),
        output.with_suffix(".svg"): bench_chart.svg(results, smallest),
    }
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")
    return list(texts)


def with_summary(text: str, results: Results) -> str:
    """Put the short table between its marks in a README; ValueError where they are not."""
    before, start, rest = text.partition(START)
    _, end, after = rest.partition(END)
    if not (start and end):
        raise ValueError(f"nothing says where to write the benchmark: {START}{END}")
    summary = bench_tables.summary(results, next(iter(results.titles)))
    return f"{before}{START}\n{summary}\n{END}{after}"
