"""Runs the real `poetry docker export` on copies of the cases; also by itself, as a process."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from cleo.testers.application_tester import ApplicationTester
from poetry.config.config import Config
from poetry.console.application import Application

CASES = Path(__file__).parent / "cases"
NAMES = tuple(sorted(path.name for path in CASES.iterdir()))
WRITTEN = ("Dockerfile", "Dockerfile.dockerignore")
NOTES = "notes.txt"


def export(folder: Path) -> dict[str, bytes]:
    """Call the command in a project's folder; give what it wrote and what it said, by file name."""
    Config.create(reload=True)  # Poetry reads one poetry.toml per process
    application = Application()
    application.auto_exits(False)
    tester = ApplicationTester(application)
    before = Path.cwd()
    os.chdir(folder)
    try:
        tester.execute("docker export")
    finally:
        os.chdir(before)
    said = tester.io.fetch_error()
    if tester.status_code != 0:
        raise AssertionError(f"exit {tester.status_code}: {said}")
    return {**{name: (folder / name).read_bytes() for name in WRITTEN}, NOTES: said.encode()}


if __name__ == "__main__":
    for name in sys.argv[1:]:
        Path(name, NOTES).write_bytes(export(Path(name))[NOTES])
