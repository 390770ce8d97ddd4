"""docs/reliability.md is that of the tests."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import reliability

COLLECT = """\
import dataclasses, json, reliability, sys
rows = reliability.collect()
print("\\n" + json.dumps([dataclasses.asdict(row) for row in rows]))
"""


def test_page_is_current() -> None:
    """To write it again, run `.venv/bin/python scripts/reliability.py --no-run`."""
    scripts = Path(reliability.__file__).parent
    # In another process: pytest cannot collect inside a test.
    done = subprocess.run(
        [sys.executable, "-c", COLLECT],
        cwd=reliability.ROOT,
        env={"PYTHONPATH": str(scripts), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    faults = [reliability.Fault(**row) for row in json.loads(done.stdout.splitlines()[-1])]
    assert len(faults) >= 60
    assert len({row["fault"] for row in map(asdict, faults)}) == len(faults)
    assert reliability.PAGE.read_text() == reliability.render(faults, reliability.read_results())
