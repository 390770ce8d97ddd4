"""Writes what people read of the benchmark's results, beside their data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import bench_chart
import bench_tables

if TYPE_CHECKING:
    from pathlib import Path

    from bench_results import Results


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
