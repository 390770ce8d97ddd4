"""Runs the real `poetry docker export` on copies of the cases; also by itself, as a process."""

from __future__ import annotations

import sys
from pathlib import Path

from command_line import poetry
from poetry.config.config import Config

CASES = Path(__file__).parent / "cases"
NAMES = tuple(sorted(path.name for path in CASES.iterdir()))
NOTES = "notes.txt"
OPTIONS = {"images": ("--bake",)}
"""What is asked for besides, by the name of the case."""
PLACES = {"monorepo": "services/api"}
"""Where the project lies, in the cases that have more around it."""


def project_in(case: Path) -> Path:
    """Give the project's folder in the copy of a case, which has the case's name."""
    return case / PLACES.get(case.name, ".")


def export(case: Path) -> dict[str, bytes]:
    """Call the command in a case's project; give what it wrote and what it said, by file name."""
    folder = project_in(case)
    Config.create(reload=True)  # Poetry reads one poetry.toml per process
    before = set(folder.iterdir())
    outcome = poetry(folder, "docker", "export", *OPTIONS.get(case.name, ()))
    assert outcome.status == 0, outcome.err
    written = {path.name: path.read_bytes() for path in sorted({*folder.iterdir()} - before)}
    return {**written, NOTES: outcome.err.encode()}


def expected(name: str) -> dict[str, str]:
    """Give the files that a case's export is to write, as they are kept here."""
    files = sorted((CASES / name / "expected").iterdir())
    return {path.name: path.read_bytes().decode() for path in files}


def is_dockerfile(name: str) -> bool:
    """Tell a Dockerfile, the only one or that of an image, from the other files."""
    return name == "Dockerfile" or name.endswith(".Dockerfile")


if __name__ == "__main__":
    for name in sys.argv[1:]:
        (project_in(Path(name)) / NOTES).write_bytes(export(Path(name))[NOTES])
