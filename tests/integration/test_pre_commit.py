"""The hooks of .pre-commit-hooks.yaml, run by pre-commit from a repository of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from clean_poetry import ROOT
from projects import make_project, package

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Protocol

    class RunHook(Protocol):
        """Run a hook on all files of a repository, and return the output."""

        def __call__(self, project: Path, hook: str, *arguments: str, status: int) -> str:
            """Check the exit status."""


PYPROJECT = """\
[project]
name = "shop"
version = "1"
requires-python = ">=3.10"
dependencies = ["rich"]

[tool.poetry-docker-cache]
python = "3.13"
"""
SHIPPED = ("src", "templates", "pyproject.toml", "README.md", "LICENSE", ".pre-commit-hooks.yaml")
CONFIG = """\
repos:
  - repo: file://{hooks}
    rev: {commit}
    hooks:
      - id: {hook}
        args: {arguments}
"""
SCRIPT = "#!/usr/bin/env python\nfrom poetry.console.application import main\nmain()\n"
"""What pip writes to the environment's bin folder when it installs Poetry."""


def git(folder: Path, *arguments: str) -> str:
    """Run git with a fixed author; return its output."""
    who = ["-c", "user.name=x", "-c", "user.email=x@acme.test"]
    return subprocess.run(
        ["git", *who, *arguments], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


def commit(folder: Path) -> str:
    """Commit all files of a new repository; return the commit."""
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=x")
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture(scope="module")
def hooks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a repository with what the plugin's own one has at its top."""
    folder = tmp_path_factory.mktemp("hooks")
    for name in SHIPPED:
        if (ROOT / name).is_dir():
            shutil.copytree(
                ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__")
            )
        else:
            shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """Return an environment in which pip finds Poetry as installed, so that no index is needed.

    The plugin, which is editable here, is only imported from where pre-commit installs it.
    """
    folder = tmp_path_factory.mktemp("home")
    (folder / "bin").mkdir()
    (folder / "bin" / "poetry").write_text(SCRIPT)
    (folder / "bin" / "poetry").chmod(0o755)
    return {
        "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(folder),
        "PRE_COMMIT_HOME": str(folder / "pre-commit"),
        "PYTHONPATH": sysconfig.get_path("purelib"),
        "PIP_NO_INDEX": "1",
        "PIP_NO_BUILD_ISOLATION": "0",  # no isolation: the option is negative, and so is its value
        "PIP_CONFIG_FILE": os.devnull,
    }


@pytest.fixture(scope="module")
def run_hook(hooks: Path, environment: Mapping[str, str]) -> RunHook:
    """Return a function that runs a hook on all files of a repository; it returns the output."""
    commit_of_hooks = commit(hooks)

    def run(project: Path, hook: str, *arguments: str, status: int) -> str:
        config = project / ".pre-commit-config.yaml"
        config.write_text(
            CONFIG.format(hooks=hooks, commit=commit_of_hooks, hook=hook, arguments=list(arguments))
        )
        git(project, "add", "--all")
        done = subprocess.run(
            [Path(sys.executable).with_name("pre-commit"), "run", "--verbose", "--all-files"],
            cwd=project,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout

    return run


def test_hooks_check_and_write_the_files(run_hook: RunHook, tmp_path: Path) -> None:
    """The check shows what is out of date; the export fails, as hooks do that change files."""
    repository = tmp_path / "repository"
    project = make_project(repository / "api", PYPROJECT, [package("rich")])
    commit(repository)
    check, export, folder = "poetry-docker-export-check", "poetry-docker-export", "--directory=api"
    run_hook(repository, export, folder, status=0)
    assert "Up to date." in run_hook(repository, check, folder, status=0)
    (project / "pyproject.toml").write_text(PYPROJECT + 'workdir = "/srv/shop"\n')
    assert "+WORKDIR /srv/shop" in run_hook(repository, check, folder, status=1)
    assert "files were modified by this hook" in run_hook(repository, export, folder, status=1)
