"""`make demo` works, and its output shows the benefit of the project."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from engine import default_state
from environments import fill_environment

if TYPE_CHECKING:
    from engines import DockerEngine

ROOT = Path(__file__).resolve().parents[2]
CACHE = default_state().parents[1]  # before a test replaces the home folder
ROW = re.compile(r"^(\S.*?) +(\d+)   (CACHED|\d+ of \d+) +([\d.]+)$", re.MULTILINE)


def demo(*arguments: str, folder: Path, **env: str) -> str:
    """Run the demo as make does, with its own temporary folder; return the output."""
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "demo.py", *arguments],
        env={**os.environ, **env, "XDG_CACHE_HOME": str(CACHE), "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(folder.iterdir()) == []
    assert len(done.stdout.splitlines()) <= 40
    return done.stdout


@pytest.mark.engine
def test_only_a_dependency_edit_installs_dependencies(engine: DockerEngine, tmp_path: Path) -> None:
    """The facts of the table come from BuildKit's log of a real run."""
    names = {"DOCKER_HOST", "DOCKER_CONFIG", "PATH"} & engine.env.keys()
    shown = demo(folder=tmp_path, **{name: engine.env[name] for name in names})
    rows = {edit: (int(installed), layer) for edit, installed, layer, _ in ROW.findall(shown)}
    assert len(rows) == 7, shown
    first, *edits, bump = rows
    assert rows[first][0] > 15
    layers = int(rows[first][1].rpartition(" ")[2])
    assert layers > 5
    assert rows[first][1] == f"{layers} of {layers}"
    assert [rows[edit] for edit in edits] == [(0, "CACHED")] * 5
    assert "acme-greetings" in bump
    assert 0 < rows[bump][0] < 8
    assert rows[bump][1] == f"1 of {layers}"
    # The responses come from the edited images, not from earlier builds.
    answers = re.findall(r"^ +GET /health +(\{.*\})$", shown, re.MULTILINE)
    assert answers == [
        '{"status": "ok", "version": "1.0.0", "acme-greetings": "1.0.0"}',
        '{"status": "very well", "version": "1.0.1", "acme-greetings": "1.1.0"}',
    ]
    assert "user 10001; no pip, no poetry, no pytest, health check: healthy" in shown


def test_without_an_engine_the_dockerfile_is_written(tmp_path: Path) -> None:
    """The demo says where the Dockerfile is, and what is missing."""
    shown = demo("--export-only", folder=tmp_path)
    path = re.search(r"^export +(\S+)$", shown, re.MULTILINE)
    assert path
    assert (ROOT / path[1]).read_text(encoding="utf-8").count("\nFROM ") > 3
    assert "Install Docker" in shown


def test_example_passes_its_own_tests(tmp_path: Path) -> None:
    """They use the library that the example depends on, as its developers would."""
    api, library = (ROOT / "examples" / name for name in ("web-api", "acme-greetings"))
    packages = [str(api), str(library), "--group", f"{api / 'pyproject.toml'}:dev"]
    fill_environment(tmp_path / "venv", *packages)
    python = str(tmp_path / "venv" / "bin" / "python")
    tests = [python, "-m", "pytest", "--quiet", "-p", "no:cacheprovider", str(api)]
    done = subprocess.run(tests, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout
