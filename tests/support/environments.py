"""Create virtual environments with the pip that runs the tests.

An environment's own pip would take three times as long: it is older and not yet compiled.
"""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def fill_environment(folder: Path, *requirements: str) -> None:
    """Create an environment and install into it."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    install_packages(folder / "bin" / "python", *requirements)


def install_packages(python: Path, *requirements: str) -> None:
    """Install into the environment of a Python."""
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install"]
    run_quietly([*pip, "--quiet", "--no-compile", *requirements])


def run_quietly(command: list[str]) -> None:
    """Run pip, showing its output only if it fails."""
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
