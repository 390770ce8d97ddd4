"""The benchmark's results as Markdown."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from bench_scenarios import SCENARIOS
from bench_variants import POETRY, UV, VARIANTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bench_results import Results

SHOWN = ("pip", "article", "uv-documented")
"""The variants of the summary and the chart: the plugin as it is by default, and the rivals."""
NOTES = f"""\
How this is measured:

- Seconds, and all other numbers, are medians where there were several rounds.
- Every build pushes its image to a registry; the seconds include that.
- Each variant has an engine of its own (Docker with the containerd image store), so that none
  finds what another one has cached. Before the first build it has the base image and nothing else.
- An edit is made to a copy of the project as first built. Scenario by scenario, the variants take
  turns.
- A fresh machine has an empty engine, and the registry cache (`mode=max`) of the first build. What
  it pulls includes the base image. Where a row names something else, it has that instead: the cache
  in a folder; the wheels that `download-cache` kept; the pushed image that `reuse-image` names. The
  latter two are settings of the plugin: the others are not measured there (n/a).
- Packages installed are those that the build's log names. The project itself, Poetry and uv do not
  count.
- Blobs are layers, and two or three small ones that describe the image. What the repository has
  already is not pushed.
- [The article's Dockerfile](../examples/bench/article.Dockerfile) has Poetry {POETRY};
  [uv's documented one](../examples/bench/uv-documented.Dockerfile) has uv {UV}, by pip. The latter
  byte-compiles, as documented; the others do not.
- The packages and their versions are in `examples/bench`. One of them comes from a private index
  with a password.
"""


def markdown(results: Results) -> str:
    """Write all tables."""
    parts = [
        "# Benchmark: what an edit costs\n",
        f"`{results.command}` on {when(results)}, {machine(results)}.\n",
        "![Seconds for each edit](bench.svg)\n",
        NOTES,
    ]
    for size, title in results.titles.items():
        parts += [f"## {size} packages: {title}\n", _builds(results, size)]
        if many(results, size):
            parts.append(f"These are {many(results, size)}.\n")
    parts += _table(
        "Size of the image", ("packages", "built by", "MB, compressed"), _images(results)
    )
    parts += _table(
        "Mean over all single bumps",
        ("packages", "`layers`", "`own-layers`", "packages reinstalled", "of the bytes"),
        (
            (bump.size, bump.layers, str(bump.own), f"{bump.packages:.0%}", f"{bump.bytes:.0%}")
            for bump in results.bumps
        ),
    )
    parts += _table(
        "Start of the application: the heavy imports, as the image's user",
        ("packages", "`compile`", "seconds"),
        (
            (start.size, str(start.compiled).lower(), f"{start.seconds:.2f}")
            for start in results.starts
        ),
    )
    if results.failures:
        parts += ["## Failed\n", "".join(f"- {failure}\n" for failure in results.failures)]
    return "\n".join(parts)


def summary(results: Results, size: str) -> str:
    """Write one short table, as the README has it: all that most readers want to know."""
    shown = [name for name in SHOWN if name in variants(results, size)]
    rows = []
    for scenario in scenarios(results, size):
        cells = (_cell(results, size, variant, scenario) for variant in shown)
        rows.append((SCENARIOS[scenario].title, *cells))
    words = (
        f"`{results.command}` on {results.dates[size]}",
        many(results, size),
        machine(results),
    )
    return (
        f"Packages installed / MB pushed / seconds, for {results.titles[size]} of {size} packages"
        f" ({', '.join(filter(None, words))}):\n\n"
        + _rows(("you edit", *(VARIANTS[name].title for name in shown)), rows)
    )


def when(results: Results) -> str:
    """Say when it was measured."""
    days: dict[str, list[str]] = {}
    for size, day in results.dates.items():
        days.setdefault(day, []).append(size)
    if len(days) == 1:
        return next(iter(days))
    return ", ".join(f"{day} ({' and '.join(sizes)} packages)" for day, sizes in days.items())


def many(results: Results, size: str) -> str:
    """Say how many rounds there were at a size; "" if it was one."""
    cells = Counter((row.variant, row.scenario) for row in results.measurements if row.size == size)
    rounds = max(cells.values(), default=0)
    return f"medians of {rounds} rounds" if rounds > 1 else ""


def machine(results: Results) -> str:
    """Say how large the machine was."""
    it = results.machine
    return f"{it['cores']} cores, {it['memory']} of memory, {it['architecture']}"


def variants(results: Results, size: str) -> list[str]:
    """Name the variants that were measured at a size, in the order of the command line."""
    return [name for name in VARIANTS if _measured(results, size, variant=name)]


def scenarios(results: Results, size: str) -> list[str]:
    """Name the scenarios that were measured at a size, in order."""
    return [name for name in SCENARIOS if _measured(results, size, scenario=name)]


def _measured(results: Results, size: str, variant: str = "", scenario: str = "") -> bool:
    return any(
        row.size == size and (row.variant == variant or row.scenario == scenario)
        for row in results.measurements
    )


def _builds(results: Results, size: str) -> str:
    header = ("edit", "built by", "packages installed", "blobs pushed", "MB pushed", "MB pulled")
    rows = []
    for scenario in scenarios(results, size):
        title = SCENARIOS[scenario].title
        for variant in variants(results, size):
            rows.append(
                (title, VARIANTS[variant].title, *_numbers(results, size, variant, scenario))
            )
            title = ""
    return _rows((*header, "seconds", "to the article's"), rows)


def _cell(results: Results, size: str, variant: str, scenario: str) -> str:
    installed, _, pushed, _, seconds, _ = _numbers(results, size, variant, scenario)
    return "n/a" if seconds == "n/a" else f"{installed} / {pushed} / {seconds}"


def _numbers(results: Results, size: str, variant: str, scenario: str) -> Iterable[str]:
    def median(name: str) -> float | None:
        return results.median(size, variant, scenario, lambda row: float(getattr(row, name)))

    seconds = median("seconds")
    if seconds is None:
        return ("n/a",) * 6
    counts = (f"{median(name) or 0:.0f}" for name in ("installed", "blobs"))
    sizes = (f"{(median(name) or 0) / 1e6:.2f}" for name in ("pushed", "pulled"))
    ratio = results.ratio(size, variant, scenario)
    return (*counts, *sizes, f"{seconds:.1f}", "n/a" if ratio is None else f"{ratio:.2f}")


def _images(results: Results) -> Iterable[Sequence[str]]:
    sizes = {(image.size, image.variant): image.bytes for image in results.images}
    for (size, variant), count in sizes.items():
        yield size, VARIANTS[variant].title, f"{count / 1e6:.1f}"


def _table(title: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Give a section, unless it were empty."""
    rows = list(rows)
    return [f"## {title}\n", _rows(header, rows)] if rows else []


def _rows(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    words = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(row)} |\n" for row in words)
