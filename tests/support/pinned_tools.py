"""Download the tools that an image's build installs, in the pinned versions."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from packaging.requirements import Requirement

from poetry_docker_cache.plan.tool_pins import PINS

if TYPE_CHECKING:
    from pathlib import Path


def download_pinned(folder: Path, python: str, *names: str) -> None:
    """Download what the pins of these tools name for a Python, which may not be this one."""
    pins = set()
    for name in names:
        lines = (PINS / f"{name}.txt").read_text(encoding="utf-8").splitlines()
        found = (line.rstrip(" \\") for line in lines if not line.startswith(("#", " ")))
        for requirement in map(Requirement, found):
            marker = requirement.marker
            if not marker or marker.evaluate({"python_version": python}):
                pins.add(f"{requirement.name}{requirement.specifier}")
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--dest", str(folder), "--no-deps"]
    pip += ["--python-version", python, "--only-binary", ":all:", *sorted(pins)]
    done = subprocess.run(pip, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
