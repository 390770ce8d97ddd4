"""Runs the real `poetry docker export` on copies of the cases; also by itself, as a process."""

from __future__ import annotations

import sys
from pathlib import Path

from command_line import poetry
from poetry.config.config import Config

CASES = Path(__file__).parent / "cases"
NAMES = tuple(sorted(path.name for path in CASES.iterdir()))
WRITTEN = ("Dockerfile", "Dockerfile.dockerignore")
NOTES = "notes.txt"


def export(folder: Path) -> dict[str, bytes]:
    """Call the command in a project's folder; give what it wrote and what it said, by file name."""
    Config.create(reload=True)  # Poetry reads one poetry.toml per process
    outcome = poetry(folder, "docker", "export")
    assert outcome.status == 0, outcome.err
    written = {name: (folder / name).read_bytes() for name in WRITTEN}
    return {**written, NOTES: outcome.err.encode()}


if __name__ == "__main__":
    for name in sys.argv[1:]:
        Path(name, NOTES).write_bytes(export(Path(name))[NOTES])
