"""Calls of git run no program that the project's own files name."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from poetry_docker_cache.inside.install import process
from poetry_docker_cache.project.git import git_ignored, git_problem, ignored_in_image
from poetry_docker_cache.project.git_origin import read_origin

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CALLS: dict[str, Callable[[Path], object]] = {
    "wheel": lambda folder: git_ignored(folder, ["shop"], included=(), ask_git=True),
    "image": lambda folder: ignored_in_image(folder, "", ["shop"]),
    "problem": git_problem,
    "origin": lambda folder: read_origin(folder, folder),
    "build": lambda folder: process.run(["git", "status"], os.environ, folder),
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Make a git repository with a project."""
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    project = tmp_path / "project"
    (project / "shop").mkdir(parents=True)
    (project / "shop" / "a.py").touch()
    (project / ".gitignore").write_text("*.log\n!keep.log\n")
    return project


def configure(repository: Path, work_tree: Path) -> Path:
    """Add a program to a repository's configuration; return the file that the program makes."""
    canary = repository / "canary"
    program = repository / "program"
    program.write_text(f"#!/bin/sh\ntouch '{canary}'\n")
    program.chmod(0o755)
    for key, value in {
        "core.fsmonitor": program,
        "core.bare": "false",
        "core.worktree": work_tree,
    }.items():
        config = ["git", "config", f"--file={repository / 'config'}", key, str(value)]
        subprocess.run(config, check=True)
    return canary


@pytest.mark.parametrize("call", CALLS)
def test_program_in_the_configuration_does_not_run(call: str, project: Path) -> None:
    """Git would run `core.fsmonitor` for nearly every command."""
    canary = configure(project.parent / ".git", project.parent)
    CALLS[call](project)
    assert not canary.exists()
    subprocess.run(["git", "status"], cwd=project, check=True, stdout=subprocess.DEVNULL)
    assert canary.exists()  # the test would notice


@pytest.mark.parametrize("call", CALLS)
def test_bare_repository_in_the_project_is_not_used(call: str, project: Path) -> None:
    """The files of one can be committed to another repository."""
    subprocess.run(["git", "init", "--quiet", "--bare", project], check=True)
    canary = configure(project, project)
    CALLS[call](project)
    assert not canary.exists()
    assert "bare repository" in (git_problem(project) or "")


def test_configuration_in_the_environment_is_kept() -> None:
    """A build may configure git, such as for another address of a host."""
    own = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "user.name", "GIT_CONFIG_VALUE_0": "x"}
    done = process.run(["git", "config", "--list"], {**os.environ, **own})
    assert {"user.name=x", "core.fsmonitor=false"} <= set(done.output.splitlines())
