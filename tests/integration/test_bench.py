"""The benchmark runs: two variants, two scenarios, one private package; no time is judged."""

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

CACHE = default_state().parents[1]  # before a test's home is a temporary folder


@pytest.mark.engine
def test_two_variants_and_two_scenarios(tmp_path: Path) -> None:
    """What was counted is what such builds do; the tables and the chart stand beside the data."""
    if os.geteuid():
        unavailable("only root can bring up the engines")
    output = tmp_path / "results" / "bench"
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    bench = [sys.executable, str(ROOT / "scripts/bench.py"), f"--output={output}"]
    chosen = ["--sizes=tiny", "--variants=pip,uv-documented", "--scenarios=cold,version"]
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
        ("pip", "cold"): 1,
        ("pip", "version"): 0,
        ("uv-documented", "cold"): 1,
        ("uv-documented", "version"): 1,
    }
    for row in rows.values():
        assert row.pulled == 0  # the base is there, and nothing else is fetched
        assert 2 <= row.blobs <= 12
        assert 0 < row.pushed < 10_000_000
    assert rows["pip", "version"].pushed < rows["pip", "cold"].pushed
    assert {image.variant for image in results.images} == {"pip", "uv-documented"}
    assert all(image.bytes > 10_000_000 for image in results.images)
    fast, slow = sorted(results.starts, key=lambda start: not start.compiled)
    assert (fast.compiled, slow.compiled) == (True, False)
    assert [(bump.layers, bump.packages, bump.bytes) for bump in results.bumps] == [("auto", 1, 1)]
