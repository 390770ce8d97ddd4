"""The benchmark's results as Markdown tables."""

from __future__ import annotations

from collections import Counter
from operator import attrgetter
from typing import TYPE_CHECKING

from bench_scenarios import SCENARIOS
from bench_variants import POETRY, UV, VARIANTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bench_results import Results

SHOWN = ("plugin", "plugin-no-engine", "article", "uv-documented")
"""The variants in the summary and the chart."""
SHORT = ("source", "version", "pure", "cold", "fresh-pure")
"""The edits in the summary."""
_RELATIVE = "relative to the article's"
_TIMES = ("seconds", "buildkit", "cpu")
_TIME_COLUMNS = ("seconds", _RELATIVE, "BuildKit's seconds", _RELATIVE, "CPU seconds", _RELATIVE)
NOTES = f"""\
How it is measured:

- All numbers are medians if there were several rounds.
- Every build pushes its image to a registry. The seconds include the push.
- BuildKit's seconds are those of `docker buildx build`. The rest of the plugin's seconds is the
  start of Poetry, reading the project and the summary. The Dockerfiles are built by
  `docker buildx build` alone.
- CPU seconds are those of the command and all processes that it starts, and of the engine: its
  daemons and the containers that it builds in.
- Each variant has its own engine (Docker with the containerd image store), so that variants do not
  share caches. Before the first build, the engine has only the base image.
- The plugin without an engine (`--no-engine`) has only a cache folder of Poetry and of the plugin.
  Before the first build and on a fresh machine, it is empty: wheels are downloaded, and for the
  first build the base image is read from the registry. On a fresh machine, `--cache` names the
  first image. Its folder cache is that cache folder.
- Each edit is made to a copy of the original project. In each scenario, the variants are built one
  after another.
- A fresh machine has an empty engine, and the registry cache (`mode=max`) of the first build. It
  also pulls the base image. If a row names something else, the machine has that instead: a cache in
  a folder, the wheels of `download-cache`, or the pushed image of `reuse-image`. The last two are
  settings of the plugin for builds with an engine, so the other variants are not measured (n/a).
- A second platform: with the setting `platforms`, the image is for linux/amd64 and linux/arm64. The
  plugin runs nothing on the other platform. The Dockerfiles install with the image's own programs,
  which needs an emulator (QEMU), so they are not measured (n/a).
- Base image moved: the tags of the base images name new images with one more small layer, as if it
  were an update. BuildKit builds with `--pull`.
- Installed packages are counted in the build's log, without the project, Poetry and uv; without an
  engine, those in the layers that were made.
- Blobs are layers, and two or three small ones that describe the image. Blobs that the repository
  already has are not pushed.
- [The article's Dockerfile](../examples/bench/article.Dockerfile) uses Poetry {POETRY};
  [uv's documented Dockerfile](../examples/bench/uv-documented.Dockerfile) uses uv {UV}, installed
  with pip. Only the latter compiles bytecode, as documented.
- The packages and their versions are in `examples/bench`. One of them comes from a private index
  with a password.
"""


def markdown(results: Results) -> str:
    """Write all tables."""
    parts = [
        "# Benchmark: what an edit costs\n",
        f"`{results.command}` on {dates(results)}, {describe_machine(results)}.\n",
        "![Seconds for each edit](bench.svg)\n",
        NOTES,
    ]
    for size, title in results.titles.items():
        parts += [f"## {size} packages: {title}\n", _builds(results, size)]
        if medians(results, size):
            parts.append(f"These are {medians(results, size)}.\n")
    parts += _section(
        "Size of the image", ("packages", "built by", "MB (compressed)"), _images(results)
    )
    parts += _section(
        "Average cost of one update",
        ("packages", "`layers`", "`own-layers`", "packages reinstalled", "bytes reinstalled"),
        (
            (bump.size, bump.layers, str(bump.own), f"{bump.packages:.0%}", f"{bump.bytes:.0%}")
            for bump in results.bumps
        ),
    )
    parts += _section(
        "Start of the application: importing large packages, as the image's user",
        ("packages", "`compile`", "seconds"),
        (
            (start.size, str(start.compiled).lower(), f"{start.seconds:.2f}")
            for start in results.starts
        ),
    )
    if results.failures:
        parts += ["## Failed\n", "".join(f"- {failure}\n" for failure in results.failures)]
    return "\n".join(parts)


def summary(results: Results) -> str:
    """Write the short table of the README: the commonest edits, at two sizes."""
    sizes = [*results.titles][:2]
    shown = [name for name in SHOWN if any(name in variants(results, size) for size in sizes)]
    rows = []
    for scenario in SHORT:
        cells = (
            " / ".join(_seconds(results, size, variant, scenario) for size in sizes)
            for variant in shown
        )
        rows.append((SCENARIOS[scenario].title, *cells))
    return (
        "Seconds from an edit to the image in the registry, with"
        f" {' / '.join(sizes)} packages"
        f" (`{results.command}` on {dates(results, sizes)}, {describe_machine(results)}):\n\n"
        + table(("you edit", *(VARIANTS[name].title for name in shown)), rows)
    )


def dates(results: Results, sizes: Iterable[str] = ()) -> str:
    """Return the dates of the measurements, of all sizes without `sizes`."""
    days: dict[str, list[str]] = {}
    for size in sizes or results.dates:
        days.setdefault(results.dates[size], []).append(size)
    if len(days) == 1:
        return next(iter(days))
    return ", ".join(f"{day} ({' and '.join(sizes)} packages)" for day, sizes in days.items())


def medians(results: Results, size: str) -> str:
    """Return a phrase with the number of rounds at a size, or "" if there was only one."""
    cells = Counter((row.variant, row.scenario) for row in results.measurements if row.size == size)
    rounds = max(cells.values(), default=0)
    return f"medians of {rounds} rounds" if rounds > 1 else ""


def describe_machine(results: Results) -> str:
    """Return the size and architecture of the machine."""
    machine = results.machine
    return f"{machine['cores']} cores, {machine['memory']} of memory, {machine['architecture']}"


def variants(results: Results, size: str) -> list[str]:
    """Return the variants that were measured at a size, in their order of VARIANTS."""
    return [name for name in VARIANTS if _measured(results, size, variant=name)]


def scenarios(results: Results, size: str) -> list[str]:
    """Return the scenarios that were measured at a size, in their order of SCENARIOS."""
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
    return table((*header, *_TIME_COLUMNS), rows)


def _seconds(results: Results, size: str, variant: str, scenario: str) -> str:
    return [*_numbers(results, size, variant, scenario)][4]


def _numbers(results: Results, size: str, variant: str, scenario: str) -> Iterable[str]:
    def median(name: str) -> float | None:
        return results.median(size, variant, scenario, attrgetter(name))

    if median("seconds") is None:
        return ("n/a",) * (4 + 2 * len(_TIMES))
    counts = (f"{median(name) or 0:.0f}" for name in ("installed", "blobs"))
    sizes = (f"{(median(name) or 0) / 1e6:.2f}" for name in ("pushed", "pulled"))
    times = []
    for name in _TIMES:
        ratio = results.ratio(size, variant, scenario, attrgetter(name))
        times += [_number(median(name), 1), _number(ratio, 2)]
    return (*counts, *sizes, *times)


def _number(value: float | None, digits: int) -> str:
    return "n/a" if value is None else f"{value:.{digits}f}"


def _images(results: Results) -> Iterable[Sequence[str]]:
    sizes = {(image.size, image.variant): image.bytes for image in results.images}
    for (size, variant), count in sizes.items():
        yield size, VARIANTS[variant].title, f"{count / 1e6:.1f}"


def _section(title: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return a section with a table, or nothing if there are no rows."""
    rows = list(rows)
    return [f"## {title}\n", table(header, rows)] if rows else []


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table."""
    words = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(row)} |\n" for row in words)
