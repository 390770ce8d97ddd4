"""The benchmark's commonest edits as a chart, with a bar for each variant."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import bench_tables
from bench_scenarios import SCENARIOS
from bench_tables import SHORT, SHOWN
from bench_variants import VARIANTS

if TYPE_CHECKING:
    from bench_results import Results

WIDTH, LEFT, RIGHT = 960, 250, 40
BAR, GAP, TOP, BOTTOM = 22, 16, 76, 44
_CHARACTER = 6.4
"""The width of a character in a label, at most."""
_STYLE = """\
    .page { fill: #ffffff } .text { fill: #1f2933 } .soft { fill: #52606d }
    .grid { stroke: #d9e2ec } .inside { fill: #ffffff }
    .plugin { fill: #2f855a } .plugin-no-engine { fill: #7b5ea7 }
    .article { fill: #3f6f9f } .uv-documented { fill: #9c6a12 }
    @media (prefers-color-scheme: dark) {
      .page { fill: #0d1117 } .text { fill: #e6edf3 } .soft { fill: #9aa7b4 }
      .grid { stroke: #30363d }
      .plugin { fill: #3a8f5f } .plugin-no-engine { fill: #8668b5 }
      .article { fill: #4a7fb5 } .uv-documented { fill: #a8731a }
    }"""


def svg(results: Results, size: str) -> str:
    """Draw the chart of one size."""
    groups = {
        scenario: {
            variant: seconds
            for variant in SHOWN
            if (seconds := _seconds(results, size, variant, scenario)) is not None
        }
        for scenario in SHORT
        if scenario in bench_tables.scenarios(results, size)
    }
    height = TOP + sum(BAR * len(group) + GAP for group in groups.values()) + BOTTOM
    longest = max((max(group.values()) for group in groups.values()), default=0)
    scale = (WIDTH - LEFT - RIGHT) / (longest or 1)
    title = f"Seconds to build and push after an edit, {size} packages"
    note = f"{results.command}, {results.dates[size]}, {bench_tables.describe_machine(results)}"
    body = [_text(24, 32, title, size=17), *_grid(longest, scale, height)]
    top = TOP
    for scenario, group in groups.items():
        edit = SCENARIOS[scenario].title.replace("`", "")
        body.append(_text(LEFT - 12, top + BAR * len(group) / 2 + 4, edit, anchor="end"))
        for variant, seconds in group.items():
            body += _bar(variant, top, seconds, scale)
            top += BAR
        top += GAP
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


def _grid(longest: float, scale: float, height: int) -> list[str]:
    """Draw at most ten vertical lines, with seconds."""
    step = next((step for step in (1, 2, 5, 10, 20, 50, 100) if longest / step <= 10), 200)  # noqa: PLR2004
    lines = []
    for seconds in range(0, int(longest) + 1, step):
        x = LEFT + seconds * scale
        lines.append(f'<path class="grid" d="M{x:.1f} {TOP - 6} V{height - BOTTOM}"/>')
        lines.append(_text(x, TOP - 12, f"{seconds} s", size=11, anchor="middle", kind="soft"))
    return lines


def _bar(variant: str, y: float, seconds: float, scale: float) -> list[str]:
    """Draw a bar with its label inside, or beside it if it is too short."""
    width = max(1, seconds * scale)
    box = f'x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR - 3}"'
    label = f"{VARIANTS[variant].title}: {seconds:.1f} s"
    inside = len(label) * _CHARACTER + 12 < width
    x, kind = (LEFT + 8, "inside") if inside else (LEFT + width + 6, "text")
    return [
        f'<rect class="{variant}" {box} rx="2"/>',
        _text(x, y + BAR / 2 + 2.5, label, size=12, kind=kind),
    ]


def _text(  # noqa: PLR0913  # attributes of a text
    x: float, y: float, text: str, *, size: int = 13, anchor: str = "start", kind: str = "text"
) -> str:
    where = f'x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}"'
    return f'<text class="{kind}" {where}>{escape(text)}</text>'
