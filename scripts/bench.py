"""Compare what an edit costs with the plugin and with Dockerfiles written by hand.

    make bench                                            # everything: about two hours
    python scripts/bench.py --sizes 30 --variants plugin,article --scenarios cold,version --repeat 3
    python scripts/bench.py --render docs/bench.json      # the tables and the chart only
                            --readme README.md            # … and the short table in a README
    python scripts/bench.py --sizes 30 --beside v0.1.0    # and the plugin of an earlier revision

It starts its own engines, registry and index, so it needs Debian and root.
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

import bench_goals
import bench_report
from bench_project import EXAMPLES, ROOT, PackageSet
from bench_results import Bump, Results, Start
from bench_round import Round, machines
from bench_scenarios import SCENARIOS
from bench_variants import VARIANTS, Plugin
from bench_workshop import poetry_with_plugin
from processes import EngineError, run, say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from bench_scenarios import Scenario
    from bench_variants import Variant

SIZES = ("30", "77", "150")
OUTPUT = ROOT / ".cache" / "bench"
# The first import is not counted, because it reads the files from the disk.
_START = """\
import subprocess, sys, time
for number in range(6):
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import {}"], check=True)
    if number:
        print(time.perf_counter() - started)
"""


class Bench:
    """A run of the benchmark: one or more rounds at each size."""

    def __init__(self, results: Results, output: Path, poetry: Path) -> None:
        self.results = results
        self._poetry = poetry
        self._output = output
        self._logs = OUTPUT / "logs"
        self._logs.mkdir(parents=True, exist_ok=True)

    def round(
        self, packages: PackageSet, variants: Sequence[Variant], scenarios: Sequence[Scenario]
    ) -> None:
        """Measure each scenario with all variants; a variant that fails is left out after that."""
        with (
            tempfile.TemporaryDirectory(prefix="bench-") as folder,
            machines(variants, scenarios, Path(folder), self._poetry) as running,
        ):
            current = Round(packages, running, self._logs)
            current.lock(scenarios, variants)
            remaining, edits = list(variants), list(scenarios)
            if edits and edits[0].cold:
                self._try_each(remaining[:1], current.warm_up)
                cold = partial(self._measure, current, edits.pop(0))
                remaining = self._try_each(remaining, cold)
            else:
                remaining = self._try_each(remaining, current.build_first)
            if any(scenario.fresh for scenario in edits):
                # Before any edit, because BuildKit would export the results of later builds, too.
                remaining = self._try_each(remaining, current.export_cache)
            for scenario in edits:
                remaining = remaining[1:] + remaining[:1]  # the variants take turns to be first
                able = [variant for variant in remaining if suits(scenario, variant)]
                done = self._try_each(able, partial(self._measure, current, scenario))
                failed = [variant for variant in able if variant not in done]
                remaining = [variant for variant in remaining if variant not in failed]
            if not any(image.size == packages.name for image in self.results.images):
                self._measure_once(current, remaining)
            self.results.write(self._output.with_suffix(".json"))

    def _measure_once(self, current: Round, variants: Sequence[Variant]) -> None:
        """Measure what is the same in each round: sizes of images, start times, average costs."""
        own = [variant for variant in variants if variant.name in VARIANTS]
        self._try_each(own, lambda variant: self.results.images.append(current.image(variant)))
        plugins = [each for each in own if isinstance(each, Plugin) and each.needs_engine]
        for plugin in plugins[:1]:
            both = [plugin, replace(plugin, compiled=True)]
            self._try_each(both, partial(self._measure_start, current, plugin))
            self._try_each([plugin], partial(self._compute_bumps, current))

    def _try_each(
        self, variants: Sequence[Variant], work: Callable[[Variant], None]
    ) -> list[Variant]:
        """Do the work for each variant, and return the variants that did not fail."""
        succeeded = []
        for variant in variants:
            try:
                work(variant)
            except EngineError as error:  # noqa: PERF203  # a build takes much longer
                say(str(error))
                self.results.failures.append(str(error).partition("\n")[0])
            else:
                succeeded.append(variant)
        return succeeded

    def _measure(self, current: Round, scenario: Scenario, variant: Variant) -> None:
        row = current.measure(scenario, variant)
        self.results.measurements.append(row)
        self.results.write(self._output.with_suffix(".json"))
        say(
            f"{row.size:4} {row.scenario:14} {row.variant:16} {row.installed:4} installed"
            f" {row.blobs:4} blobs {row.pushed / 1e6:8.2f} MB pushed {row.pulled / 1e6:8.2f} pulled"
            f" {row.seconds:7.1f} s, {row.buildkit or 0:.1f} in BuildKit, {row.cpu or 0:.1f} of CPU"
        )

    def _measure_start(self, current: Round, plugin: Variant, variant: Variant) -> None:
        """Time the imports in the plugin's image, with byte-compiled files and without."""
        code = _START.format(", ".join(current.packages.imports))
        seconds = map(float, current.python(variant, code, engine_of=plugin).split())
        self.results.starts.append(
            Start(
                size=current.packages.name,
                compiled=variant is not plugin,
                seconds=round(statistics.median(seconds), 3),
            )
        )

    def _compute_bumps(self, current: Round, plugin: Variant) -> None:
        """Record the average cost of an update, with the current layers and the proposed ones."""
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


def _plugin_at(revision: str, folder: Path) -> Plugin:
    """Install the plugin of a git revision."""
    source = folder / "earlier"
    run(["git", "clone", "--quiet", "--no-checkout", str(ROOT), str(source)])
    run(["git", "checkout", "--quiet", revision], cwd=source)
    poetry = poetry_with_plugin(folder / "venv-earlier", source)
    return Plugin(revision=revision, poetry=poetry)


def suits(scenario: Scenario, variant: Variant) -> bool:
    """Return whether a variant can use what is kept, and build for the platforms."""
    if not isinstance(variant, Plugin):
        return scenario.kept in ("registry", "folder") and not scenario.platforms
    return variant.needs_engine or scenario.kept in ("registry", "folder")


def _machine() -> dict[str, str]:
    """Describe this machine without its name."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "cores": str(os.cpu_count()),
        "memory": f"{memory / 2**30:.0f} GiB",
        "architecture": platform.machine(),
    }


def _choose(text: str | None, known: Iterable[str], what: str) -> list[str]:
    """Split a comma-separated list, and sort it like the known names; None means all of them."""
    names = list(known)
    if text is None:
        return names
    chosen = [name.strip() for name in text.split(",")]
    if unknown := [name for name in chosen if name not in names]:
        raise EngineError(f"unknown {what}: {', '.join(unknown)}. Choose from {', '.join(names)}.")
    return [name for name in names if name in chosen]


def _sizes(text: str | None) -> list[PackageSet]:
    files = sorted(EXAMPLES.glob("*.toml"))
    names = _choose(text or ",".join(SIZES), (path.stem for path in files), "size")
    found = (PackageSet.read(name) for name in names)
    return sorted(found, key=lambda packages: len(packages.packages))


def bench(options: argparse.Namespace) -> Results:
    """Run the benchmark, and write each result when it is known."""
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
        results = _merge(Results.read(options.output.with_suffix(".json")), results)
    for number in (signal.SIGTERM, signal.SIGHUP):  # an exception, so that everything is cleaned up
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        current = Bench(results, options.output, poetry_with_plugin(Path(folder) / "venv"))
        if options.beside:
            variants.insert(1, _plugin_at(options.beside, Path(folder)))
        for packages in sizes:
            for _ in range(options.repeat or packages.rounds):
                current.round(packages, variants, scenarios)
    return results


def _merge(earlier: Results, now: Results) -> Results:
    """Add the results of other sizes from an earlier run on the same kind of machine."""
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
    sizes = f"names of files in examples/{EXAMPLES.name} (default: {','.join(SIZES)})"
    parser.add_argument("--sizes", help=sizes)
    parser.add_argument("--variants", help=f"from {','.join(VARIANTS)} (default: all)")
    parser.add_argument("--scenarios", help=f"from {','.join(SCENARIOS)} (default: all)")
    parser.add_argument(
        "--beside", metavar="REVISION", help="also measure the plugin at a git revision"
    )
    repeat = "number of rounds (default: `rounds` in the file of each size)"
    parser.add_argument("--repeat", type=int, help=repeat)
    output = "path of the results, without a suffix"
    parser.add_argument("--output", type=Path, default=OUTPUT / "bench", help=output)
    parser.add_argument("--keep", action="store_true", help="keep earlier results of other sizes")
    parser.add_argument("--command", default="", help="command to name in the tables")
    parser.add_argument("--render", type=Path, help="render earlier results without a build")
    parser.add_argument("--readme", type=Path, help="README to write the short table into")
    options = parser.parse_args(arguments)
    words = sys.argv[1:] if arguments is None else arguments
    options.command = options.command or shlex.join(["scripts/bench.py", *words])
    try:
        if options.render:
            results, output = Results.read(options.render), options.render
        else:
            results, output = bench(options), options.output
        bench_report.write(results, output)
        print(bench_goals.text(results), end="")
        if options.readme:
            text = options.readme.read_text(encoding="utf-8")
            text = bench_report.insert_summary(text, results)
            options.readme.write_text(text, encoding="utf-8")
    except (EngineError, OSError, ValueError) as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return 1 if results.failures else 0


if __name__ == "__main__":
    sys.exit(main())
