"""The benchmark's results as a chart, with a bar for each edit and variant."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import bench_tables
from bench_scenarios import SCENARIOS
from bench_tables import SHOWN
from bench_variants import VARIANTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench_results import Results

WIDTH, LEFT, RIGHT = 960, 320, 60
BAR, GAP, TOP, BOTTOM = 13, 14, 100, 44
_STYLE = """\
    .page { fill: #ffffff } .text { fill: #1f2933 } .soft { fill: #52606d }
    .grid { stroke: #d9e2ec }
    .plugin { fill: #2f855a } .plugin-no-engine { fill: #7b5ea7 }
    .article { fill: #4a7fb5 } .uv-documented { fill: #c98a1b }
    @media (prefers-color-scheme: dark) {
      .page { fill: #0d1117 } .text { fill: #e6edf3 } .soft { fill: #9aa7b4 }
      .grid { stroke: #30363d }
      .plugin { fill: #56ad79 } .plugin-no-engine { fill: #9d84c4 }
      .article { fill: #5b92cf } .uv-documented { fill: #d6a03a }
    }"""


def svg(results: Results, size: str) -> str:
    """Draw the chart of one size."""
    scenarios = bench_tables.scenarios(results, size)
    shown = [name for name in SHOWN if name in bench_tables.variants(results, size)]
    group = BAR * len(shown) + GAP
    height = TOP + group * len(scenarios) + BOTTOM
    longest = max((_seconds(results, size, v, s) or 0 for v in shown for s in scenarios), default=0)
    scale = (WIDTH - LEFT - RIGHT) / (longest or 1)
    title = f"Seconds to build and push after an edit, {size} packages"
    note = f"{results.command}, {results.dates[size]}, {bench_tables.describe_machine(results)}"
    body = [
        _text(24, 32, title, size=17),
        *_legend(shown),
        *_grid(longest, scale, height),
    ]
    for number, scenario in enumerate(scenarios):
        top = TOP + number * group
        middle = top + BAR * len(shown) / 2 + 4
        edit = SCENARIOS[scenario].title.replace("`", "")
        body.append(_text(LEFT - 12, middle, edit, anchor="end"))
        for row, variant in enumerate(shown):
            seconds = _seconds(results, size, variant, scenario)
            body += _bar(variant, top + row * BAR, seconds, scale)
    body.append(_text(24, height - 14, note, size=11, kind="soft"))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}"'
        f' height="{height}" role="img" aria-labelledby="title"'
        " font-family=\"system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif\">\n"
        f'  <title id="title">{escape(title)}</title>\n  <style>\n{_STYLE}\n  </style>\n'
        f'  <rect class="page" width="{WIDTH}" height="{height}"/>\n'
        + "".join(f"  {line}\n" for line in body)
        + "</svg>\n"
    )


def _seconds(results: Results, size: str, variant: str, scenario: str) -> float | None:
    return results.median(size, variant, scenario, lambda row: row.seconds)


def _legend(shown: Sequence[str]) -> list[str]:
    lines = []
    for number, name in enumerate(shown):
        x = 24 + number * 220
        lines.append(f'<rect class="{name}" x="{x}" y="50" width="12" height="12" rx="2"/>')
        lines.append(_text(x + 20, 61, VARIANTS[name].title))
    return lines


def _grid(longest: float, scale: float, height: int) -> list[str]:
    """Draw at most ten vertical lines, with seconds."""
    step = next((step for step in (1, 2, 5, 10, 20, 50, 100) if longest / step <= 10), 200)  # noqa: PLR2004
    lines = []
    for seconds in range(0, int(longest) + 1, step):
        x = LEFT + seconds * scale
        lines.append(f'<path class="grid" d="M{x:.1f} {TOP - 6} V{height - BOTTOM}"/>')
        lines.append(_text(x, TOP - 12, f"{seconds} s", size=11, anchor="middle", kind="soft"))
    return lines


def _bar(variant: str, y: float, seconds: float | None, scale: float) -> list[str]:
    if seconds is None:
        return [_text(LEFT + 6, y + 10, "n/a", size=10, kind="soft")]
    width = max(1, seconds * scale)
    box = f'x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR - 2}"'
    return [
        f'<rect class="{variant}" {box} rx="2"/>',
        _text(LEFT + width + 5, y + 10, f"{seconds:.1f}", size=10, kind="soft"),
    ]


def _text(  # noqa: PLR0913  # attributes of a text
    x: float, y: float, text: str, *, size: int = 13, anchor: str = "start", kind: str = "text"
) -> str:
    where = f'x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}"'
    return f'<text class="{kind}" {where}>{escape(text)}</text>'
