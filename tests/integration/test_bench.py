"""Run the benchmark with two variants, two scenarios and one private package, ignoring times."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from bench_project import ROOT
from bench_results import Results
from engine import default_state
from engines import unavailable

if TYPE_CHECKING:
    from pathlib import Path

CACHE = default_state().parents[1]  # before a test replaces the home folder


@pytest.mark.engine
def test_benchmark_counts_and_reports(tmp_path: Path) -> None:
    """The counts are as expected; the tables and the chart are next to the data."""
    if os.geteuid():
        unavailable("only root can bring up the engines")
    output = tmp_path / "results" / "bench"
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    bench = [sys.executable, str(ROOT / "scripts/bench.py"), f"--output={output}"]
    variants = "--variants=plugin,plugin-no-engine"
    chosen = ["--sizes=tiny", variants, "--scenarios=cold,version"]
    done = subprocess.run(
        [*bench, *chosen],
        env={**os.environ, "XDG_CACHE_HOME": str(CACHE), "TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert list(temporary.iterdir()) == []
    assert {path.name for path in output.parent.iterdir()} == {
        "bench.json",
        "bench.md",
        "bench.svg",
    }
    results = Results.read(output.with_suffix(".json"))
    rows = {(row.variant, row.scenario): row for row in results.measurements}
    assert {key: row.installed for key, row in rows.items()} == {
        ("plugin", "cold"): 1,
        ("plugin", "version"): 0,
        ("plugin-no-engine", "cold"): 1,
        ("plugin-no-engine", "version"): 0,
    }
    for (variant, scenario), row in rows.items():
        assert 2 <= row.blobs <= 12
        assert 0 < row.pushed < 10_000_000
        assert row.cpu is not None
        if variant == "plugin":
            assert row.buildkit is not None
            assert 0 < row.buildkit < row.seconds
        else:
            assert row.buildkit is None
        # The base is local, or is read once; nothing else is pulled.
        is_read = (variant, scenario) == ("plugin-no-engine", "cold")
        assert (row.pulled > 10_000_000) if is_read else (row.pulled < 100_000)
    for variant in ("plugin", "plugin-no-engine"):
        assert rows[variant, "version"].pushed < rows[variant, "cold"].pushed
    assert {image.variant for image in results.images} == {"plugin", "plugin-no-engine"}
    assert all(image.bytes > 10_000_000 for image in results.images)
    fast, slow = sorted(results.starts, key=lambda start: not start.compiled)
    assert (fast.compiled, slow.compiled) == (True, False)
    assert [(bump.layers, bump.packages, bump.bytes) for bump in results.bumps] == [("auto", 1, 1)]
