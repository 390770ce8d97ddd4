"""Compares the plugin with Dockerfiles written by hand: what each edit of a project costs.

    make bench                                            # everything: an hour or more
    python scripts/bench.py --sizes 30 --variants pip,article --scenarios cold,version --repeat 3
    python scripts/bench.py --render docs/bench.json      # the tables and the chart only
                            --readme README.md            # … and the short table there, too

Brings up engines, a registry and an index of its own: Debian, as root.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import shlex
import signal
import statistics
import sys
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import bench_report
from bench_project import EXAMPLES, ROOT, PackageSet
from bench_results import Bump, Results, Start
from bench_round import Round, machines
from bench_scenarios import SCENARIOS
from bench_variants import VARIANTS, Plugin
from bench_workshop import poetry_with_plugin
from processes import EngineError, say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from bench_scenarios import Scenario
    from bench_variants import Variant

SIZES = ("30", "77", "150")
OUTPUT = ROOT / ".cache" / "bench"
# The first import is not counted: it brings the files into memory.
_START = """\
import subprocess, sys, time
for number in range(6):
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import {}"], check=True)
    if number:
        print(time.perf_counter() - started)
"""


class Bench:
    """A run: rounds at each size, as often as asked."""

    def __init__(self, results: Results, output: Path, poetry: Path) -> None:
        self.results = results
        self._poetry = poetry
        self._output = output
        self._logs = OUTPUT / "logs"
        self._logs.mkdir(parents=True, exist_ok=True)

    def round(
        self, packages: PackageSet, variants: Sequence[Variant], scenarios: Sequence[Scenario]
    ) -> None:
        """Measure each scenario with the variants in turn; a variant that fails drops out."""
        with (
            tempfile.TemporaryDirectory(prefix="bench-") as folder,
            machines(variants, Path(folder), self._poetry) as on,
        ):
            current = Round(packages, on, self._logs)
            current.lock(scenarios, variants)
            left, edits = list(variants), list(scenarios)
            if edits and edits[0].cold:
                self._each(left[:1], current.warm_up)
                left = self._each(left, partial(self._measure, current, edits.pop(0)))
            else:
                left = self._each(left, current.build_first)
            if any(scenario.fresh for scenario in edits):
                # Before any edit: BuildKit exports what it has learnt from later builds, too.
                left = self._each(left, current.export_cache)
            for scenario in edits:
                left = left[1:] + left[:1]  # each variant comes first once
                able = [variant for variant in left if suits(scenario, variant)]
                done = self._each(able, partial(self._measure, current, scenario))
                left = [variant for variant in left if variant in done or variant not in able]
            if not any(image.size == packages.name for image in self.results.images):
                self._once(current, left)
            self.results.write(self._output.with_suffix(".json"))

    def _once(self, current: Round, variants: Sequence[Variant]) -> None:
        """Take what repetitions do not change: sizes, starts, and what is computed."""
        self._each(variants, lambda variant: self.results.images.append(current.image(variant)))
        plugins = [one for one in VARIANTS.values() if one in variants and isinstance(one, Plugin)]
        for plugin in plugins[:1]:
            both = [plugin, replace(plugin, compiled=True)]
            self._each(both, partial(self._start, current, plugin))
            self._each([plugin], partial(self._bumps, current))

    def _each(self, variants: Sequence[Variant], work: Callable[[Variant], None]) -> list[Variant]:
        """Do it with each variant; give those with which it went well."""
        left = []
        for variant in variants:
            try:
                work(variant)
            except EngineError as error:  # noqa: PERF203  # a build takes longer than that
                say(str(error))
                self.results.failures.append(str(error).partition("\n")[0])
            else:
                left.append(variant)
        return left

    def _measure(self, current: Round, scenario: Scenario, variant: Variant) -> None:
        row = current.measure(scenario, variant)
        self.results.measurements.append(row)
        self.results.write(self._output.with_suffix(".json"))
        say(
            f"{row.size:4} {row.scenario:14} {row.variant:14} {row.installed:4} installed"
            f" {row.blobs:4} blobs {row.pushed / 1e6:8.2f} MB pushed {row.pulled / 1e6:8.2f} pulled"
            f" {row.seconds:7.1f} s"
        )

    def _start(self, current: Round, plugin: Variant, variant: Variant) -> None:
        """Time the imports in the plugin's image, byte-compiled or as it is by default."""
        code = _START.format(", ".join(current.packages.imports))
        seconds = map(float, current.python(variant, code, engine_of=plugin).split())
        self.results.starts.append(
            Start(
                size=current.packages.name,
                compiled=variant is not plugin,
                seconds=round(statistics.median(seconds), 3),
            )
        )

    def _bumps(self, current: Round, plugin: Variant) -> None:
        """Let the plugin compute the mean over all bumps, as layers are and as it proposes them."""
        data = json.loads(current.layers(plugin))
        for outcome in filter(None, (data["now"], data["better"])):
            self.results.bumps.append(
                Bump(
                    size=current.packages.name,
                    layers=str(outcome["layers"]),
                    own=len(outcome["own-layers"]),
                    packages=outcome["bump"]["packages-share"],
                    bytes=outcome["bump"]["bytes-share"],
                )
            )


def suits(scenario: Scenario, variant: Variant) -> bool:
    """Say whether a variant can use what a scenario keeps."""
    return scenario.kept in ("registry", "folder") or isinstance(variant, Plugin)


def _machine() -> dict[str, str]:
    """Tell how large this machine is; not what it is called."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "cores": str(os.cpu_count()),
        "memory": f"{memory / 2**30:.0f} GiB",
        "architecture": platform.machine(),
    }


def _choose(text: str | None, known: Iterable[str], what: str) -> list[str]:
    """Read a list with commas; all that is known, in its order, without one."""
    names = list(known)
    if text is None:
        return names
    chosen = [name.strip() for name in text.split(",")]
    if unknown := [name for name in chosen if name not in names]:
        raise EngineError(f"no such {what}: {', '.join(unknown)}; there are {', '.join(names)}")
    return [name for name in names if name in chosen]


def _sizes(text: str | None) -> list[PackageSet]:
    found = sorted(EXAMPLES.glob("*.toml"))
    names = _choose(text or ",".join(SIZES), (path.stem for path in found), "size")
    return sorted((PackageSet.read(name) for name in names), key=lambda it: len(it.packages))


def bench(options: argparse.Namespace) -> Results:
    """Do what the options say, and write down the results as they come."""
    sizes = _sizes(options.sizes)
    variants = [VARIANTS[name] for name in _choose(options.variants, VARIANTS, "variant")]
    scenarios = [SCENARIOS[name] for name in _choose(options.scenarios, SCENARIOS, "scenario")]
    today = dt.datetime.now(tz=dt.timezone.utc).date().isoformat()
    results = Results(
        command=options.command,
        machine=_machine(),
        titles={packages.name: packages.title for packages in sizes},
        dates={packages.name: today for packages in sizes},
    )
    if options.keep:
        results = _joined(Results.read(options.output.with_suffix(".json")), results)
    for number in (signal.SIGTERM, signal.SIGHUP):  # with all clean-up
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        run = Bench(results, options.output, poetry_with_plugin(Path(folder) / "venv"))
        for packages in sizes:
            for _ in range(options.repeat or packages.rounds):
                run.round(packages, variants, scenarios)
    return results


def _joined(earlier: Results, now: Results) -> Results:
    """Give what other sizes had in an earlier run, on a machine like this one."""
    if earlier.machine != now.machine:
        raise EngineError(f"the earlier run was on another machine: {earlier.machine}")
    kept = earlier.without(now.titles)
    titles = {**kept.titles, **now.titles}
    order = sorted(titles, key=int)
    return replace(
        kept,
        titles={size: titles[size] for size in order},
        dates={size: {**kept.dates, **now.dates}[size] for size in order},
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", help=f"of {EXAMPLES.name}/*.toml; default: {','.join(SIZES)}")
    parser.add_argument("--variants", help=f"of {','.join(VARIANTS)}; default: all")
    parser.add_argument("--scenarios", help=f"of {','.join(SCENARIOS)}; default: all")
    parser.add_argument("--repeat", type=int, help="rounds; default: what a size's file says")
    parser.add_argument("--output", type=Path, default=OUTPUT / "bench", help="without a suffix")
    parser.add_argument("--keep", action="store_true", help="what the output has of other sizes")
    parser.add_argument("--command", default="", help="what the tables say was run")
    parser.add_argument("--render", type=Path, help="results of an earlier run; nothing is built")
    parser.add_argument("--readme", type=Path, help="a file with marks for the short table")
    options = parser.parse_args(arguments)
    words = sys.argv[1:] if arguments is None else arguments
    options.command = options.command or shlex.join(["scripts/bench.py", *words])
    try:
        if options.render:
            results, output = Results.read(options.render), options.render
        else:
            results, output = bench(options), options.output
        bench_report.write(results, output)
        if options.readme:
            text = options.readme.read_text(encoding="utf-8")
            options.readme.write_text(bench_report.with_summary(text, results), encoding="utf-8")
    except (EngineError, OSError, ValueError) as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return 1 if results.failures else 0


if __name__ == "__main__":
    sys.exit(main())
