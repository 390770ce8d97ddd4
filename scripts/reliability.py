"""Run the tests that are rows of docs/reliability.md, and write the page from them.

The rows are the tests' markers `fault(part, fault, happens, status)`. Their last results are in
docs/reliability.json, together with where they ran; results of rows that do not run are kept.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import io
import json
import os
import platform
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "docs" / "reliability.json"
PAGE = ROOT / "docs" / "reliability.md"
TITLE = """\
# Reliability

What happens if something around a build fails? A test produces each of these {count} faults. The
tests also write this page: `make faults` runs all of them and updates it. Those that are not marked
*(slow)* also run in CI.

Each test checks the exit status and the last lines of the output, which say what is wrong and what
to type. It also checks that only the files that the command writes have changed, that no
credentials are in the output or in a remaining file, and that the command works after the fault.
The tests in `test_command_errors` check only the message and that nothing has changed, because
their commands stop before they do anything.
"""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A row of the page."""

    part: str
    fault: str
    happens: str
    status: int
    test: str
    slow: bool


@dataclass(eq=False)
class Recorder:
    """A plugin of pytest that collects the rows and their results."""

    faults: dict[str, Fault] = field(default_factory=dict)
    tests: dict[str, str] = field(default_factory=dict)
    """The row of each test."""
    results: dict[str, str] = field(default_factory=dict)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Collect the markers; one row may have several tests."""
        for item in items:
            for marker in item.iter_markers("fault"):
                part, name, happens, status = marker.args
                test = item.nodeid.partition("[")[0].removeprefix("tests/")
                slow = item.get_closest_marker("slow") is not None
                self.faults[name] = Fault(
                    part=part, fault=name, happens=happens, status=status, test=test, slow=slow
                )
                self.tests[item.nodeid] = name

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Record the worst result of a row's tests."""
        if report.nodeid not in self.tests or (report.when != "call" and report.passed):
            return
        name = self.tests[report.nodeid]
        result: str = report.outcome
        if hasattr(report, "wasxfail"):
            result = "passed" if report.passed else f"not yet: {report.wasxfail}"
        if self.results.get(name, "passed") == "passed":
            self.results[name] = result


def render(faults: Sequence[Fault], results: dict[str, Any]) -> str:
    """Render the page."""
    lines = [TITLE.format(count=len(faults)).rstrip(), ""]
    places = list(dict.fromkeys(results[f.fault]["where"] for f in faults if f.fault in results))
    lines += [f"Last run: {place} ({_mark(places, place)})." for place in places]
    for part in dict.fromkeys(fault.part for fault in faults):
        lines += ["", f"## {part}", "", "| fault | what happens | status | test | last run |"]
        lines.append("| --- | --- | --- | --- | --- |")
        for fault in faults:
            if fault.part == part:
                lines.append(_row(fault, results.get(fault.fault), places))
    return "\n".join([*lines, ""])


def _row(fault: Fault, result: dict[str, str] | None, places: list[str]) -> str:
    file, _, test = fault.test.partition("::")
    last = "not run"
    if result:
        last = f"{result['result']}, {result['date']} ({_mark(places, result['where'])})"
    cells = (
        f"{fault.fault}{' *(slow)*' if fault.slow else ''}",
        fault.happens,
        str(fault.status),
        f"[{test}](../tests/{file})",
        last,
    )
    escaped = (cell.replace("|", r"\|").replace("<", "&lt;") for cell in cells)
    return f"| {' | '.join(escaped)} |"


def _mark(places: list[str], place: str) -> str:
    return chr(ord("A") + places.index(place))


def where() -> str:
    """Describe this machine."""
    system = platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    count = f"{os.cpu_count()} CPUs, Linux {platform.release()}"
    return f"{system} on {platform.machine()}, {count}, Python {platform.python_version()}"


def collect() -> list[Fault]:
    """Return the rows of all tests, without running them."""
    recorder = Recorder()
    with contextlib.redirect_stdout(io.StringIO()):  # the names of the tests
        _pytest(recorder, ["--collect-only", "-qq"])
    return sorted_rows(recorder)


def sorted_rows(recorder: Recorder) -> list[Fault]:
    """Return the rows in the order of the page."""
    return sorted(recorder.faults.values(), key=lambda fault: (fault.part, fault.test))


def _pytest(recorder: Recorder, arguments: list[str]) -> int:
    common = [
        "tests/faults",
        "tests/integration",
        "-m",
        "fault",
        "-p",
        "no:xdist",
        "-p",
        "no:cacheprovider",
        f"--rootdir={ROOT}",
    ]
    return int(pytest.main([*common, *arguments], plugins=[recorder]))


def read_results() -> dict[str, Any]:
    """Return the last results by the name of the fault."""
    return dict(json.loads(RESULTS.read_text(encoding="utf-8"))) if RESULTS.exists() else {}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--no-run", action="store_true", help="only write the page again")
    options, more = parser.parse_known_args(arguments)
    os.chdir(ROOT)
    recorder = Recorder()
    status = _pytest(recorder, more) if not options.no_run else 0
    faults = collect()
    known = {fault.fault for fault in faults}
    results = {name: result for name, result in read_results().items() if name in known}
    today = dt.datetime.now(tz=dt.timezone.utc).date().isoformat()
    for name, result in recorder.results.items():
        results[name] = {"result": result, "date": today, "where": where()}
    RESULTS.write_text(f"{json.dumps(results, indent=1, sort_keys=True)}\n", encoding="utf-8")
    PAGE.write_text(render(faults, results), encoding="utf-8")
    return status


if __name__ == "__main__":
    sys.exit(main())
