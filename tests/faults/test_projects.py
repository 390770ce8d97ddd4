"""Projects with very many, large or oddly named files, broken repositories, and long locks."""

from __future__ import annotations

import os
import subprocess
import time
from typing import TYPE_CHECKING

import pytest
from fault_rows import LOCK_FILES, PROJECT, Row, fault
from fault_sandbox import ACME, BUILD, EXPORT, EXPORTED, PYPROJECT, Sandbox, changed
from projects import make_project, package

if TYPE_CHECKING:
    from pathlib import Path

QUICK = 60.0
"""Seconds, many times what a command takes."""


def works(sandbox: Sandbox, *commands: tuple[str, ...], at: Path | None = None) -> str:
    """Run commands, which change only exported files; return what they print to stderr."""
    before = sandbox.files()
    errors = []
    for command in commands:
        started = time.monotonic()
        outcome = sandbox.run(*command, at=at)
        assert outcome.status == 0, outcome.err
        assert time.monotonic() - started < QUICK
        errors.append(outcome.err)
    found = {path.split("/")[0] for path in changed(before, sandbox.files())}
    assert found <= {*EXPORTED}
    return "".join(errors)


def git(folder: Path, *words: str) -> None:
    """Run git without the user's settings."""
    alone = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    person = ("-c", "user.name=Ada", "-c", "user.email=ada@acme.example")
    safe = ("-c", "protocol.file.allow=always")
    subprocess.run(
        ["git", *person, *safe, *words],
        cwd=folder,
        env={**os.environ, **alone},
        check=True,
        capture_output=True,
    )


@pytest.mark.slow
@fault(PROJECT, Row(fault="the project has 100,000 files", status=0))
def test_many_files(sandbox: Sandbox) -> None:
    """Commands stay quick."""
    for number in range(100):
        folder = sandbox.project / "shop" / f"data{number}"
        folder.mkdir()
        for name in range(1000):
            (folder / f"{name}.txt").touch()
    for command in (EXPORT, BUILD, (*EXPORT, "--check")):
        started = time.monotonic()
        outcome = sandbox.run(*command)
        assert outcome.status == 0, outcome.err
        assert time.monotonic() - started < QUICK


@fault(PROJECT, Row(fault="the project has a file of 2 GB", status=0))
@pytest.mark.slow
def test_large_file(sandbox: Sandbox) -> None:
    """Commands do not read it."""
    path = sandbox.folder / "large"
    with path.open("wb") as file:
        file.truncate(2 * 1024**3)
    inside = sandbox.project / "shop" / "large.bin"
    os.link(path, inside)
    path.unlink()
    for command in (EXPORT, BUILD, (*EXPORT, "--check")):
        started = time.monotonic()
        done = sandbox.start(*command, env=sandbox.environment, at=sandbox.project)
        assert done.returncode == 0, done.stderr
        assert time.monotonic() - started < QUICK
    inside.unlink()
    sandbox.search_secret()


@fault(PROJECT, Row(fault="a path has 2,800 characters", status=0))
@pytest.mark.slow
def test_long_path(sandbox: Sandbox) -> None:
    """The file is part of the package like any other."""
    folder = sandbox.project / "shop"
    for _ in range(14):
        folder /= "a" * 199
    folder.mkdir(parents=True)
    (folder / "module.py").touch()
    works(sandbox, BUILD, EXPORT, (*EXPORT, "--check"))


@fault(PROJECT, Row(fault="names of files have newlines, quotes and `$`", status=0))
@pytest.mark.slow
def test_odd_names(sandbox: Sandbox) -> None:
    """They change no other line of the Dockerfile."""
    works(sandbox, BUILD, EXPORT)
    plain = (sandbox.project / "Dockerfile").read_bytes()
    for name in ("a\nRUN touch x", "b'\"`$HOME", "c\\", "d\r\n#"):
        (sandbox.project / "shop" / f"{name}.py").touch()
        (sandbox.project / f"{name}.txt").touch()
    works(sandbox, BUILD, EXPORT)
    assert (sandbox.project / "Dockerfile").read_bytes() == plain


@fault(PROJECT, Row(fault="the project is a git worktree", status=0))
def test_worktree(sandbox: Sandbox) -> None:
    """Its `.git` is a file with the path of the repository."""
    git(sandbox.project, "init", "--quiet")
    git(sandbox.project, "add", ".")
    git(sandbox.project, "commit", "--quiet", "--message", "Start")
    tree = sandbox.project.with_name("tree")
    git(sandbox.project, "worktree", "add", "--quiet", str(tree))
    works(sandbox, BUILD, EXPORT, at=tree)
    assert (tree / "Dockerfile").exists()
    assert (tree / ".git").is_file()


@fault(PROJECT, Row(fault="the project is a git submodule", status=0))
def test_submodule(sandbox: Sandbox) -> None:
    """Its repository is in a parent folder."""
    git(sandbox.project, "init", "--quiet")
    git(sandbox.project, "add", ".")
    git(sandbox.project, "commit", "--quiet", "--message", "Start")
    above = sandbox.project.with_name("above")
    above.mkdir()
    git(above, "init", "--quiet")
    git(above, "submodule", "--quiet", "add", str(sandbox.project), "shop")
    works(sandbox, BUILD, EXPORT, at=above / "shop")
    assert (above / "shop" / "Dockerfile").exists()


@pytest.mark.parametrize(
    "how",
    [
        pytest.param(how, marks=fault(PROJECT, Row(fault=f"`.git` {how}", status=0)))
        for how in (
            "names a repository that does not exist",
            "is an empty folder",
            "has a damaged HEAD",
            "has a damaged index",
        )
    ],
)
def test_broken_repository(sandbox: Sandbox, how: str) -> None:
    """Commands work as without a repository."""
    place = sandbox.project / ".git"
    if how.startswith("names"):
        place.write_text("gitdir: /nonexistent/.git/worktrees/shop\n")
    elif how.startswith("is"):
        place.mkdir()
    else:
        git(sandbox.project, "init", "--quiet")
        git(sandbox.project, "add", ".")
        (place / how.rpartition(" ")[2]).write_bytes(b"\xff\0damaged\n" * 9)
    works(sandbox, BUILD, EXPORT, (*EXPORT, "--check"))


@fault(LOCK_FILES, Row(fault="the lock has 600 packages", status=0))
@pytest.mark.slow
def test_long_lock(sandbox: Sandbox) -> None:
    """Commands stay quick."""
    packages = [package("acme-lib", source=ACME)]
    packages += [package(f"acme-{number:03}", source=ACME) for number in range(600)]
    packages[0]["dependencies"] = {entry["name"]: "*" for entry in packages[1:]}
    make_project(sandbox.project, PYPROJECT, packages)
    works(sandbox, BUILD, EXPORT, (*EXPORT, "--check"))
