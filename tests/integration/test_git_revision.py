"""The project as of a git revision."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.project.git_revision import find_commit, no_commit, write_tree

MAIN = "main"


def git(folder: Path, *words: str) -> str:
    """Run git as an author."""
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b.test", *words]
    return subprocess.run(
        command, cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Make a repository with one commit on the branch `main`."""
    folder = tmp_path / "shop"
    (folder / "api" / "bin").mkdir(parents=True)
    (folder / "api" / "pyproject.toml").write_text("[project]\n")
    (folder / "api" / "bin" / "run").write_text("#!/bin/sh\n")
    (folder / "api" / "bin" / "run").chmod(0o755)
    (folder / "api" / "größe.txt").write_text("1")
    (folder / "api" / "link").symlink_to("pyproject.toml")
    (folder / "model.bin").write_bytes(b"x" * ((1 << 20) + 1))
    # Neither is a reason to leave a file out, or to change or run anything.
    (folder / ".gitattributes").write_text("*.toml export-ignore\n*.txt filter=evil eol=crlf\n")
    git(folder, "init", "--quiet", f"--initial-branch={MAIN}")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=one")
    git(folder, "config", "filter.evil.smudge", f"touch {tmp_path / 'ran'}; cat")
    return folder


def test_tree_is_written_as_committed(repository: Path, tmp_path: Path) -> None:
    """Edits, filters and attributes do not matter; the contents of large files are left out."""
    (repository / "api" / "pyproject.toml").write_text("edited")
    commit = find_commit(repository / "api", MAIN)
    assert commit == git(repository, "rev-parse", MAIN)
    found = write_tree(repository / "api", commit, tmp_path / "temporary")
    assert found == tmp_path / "temporary" / "shop" / "api"
    assert (found / "pyproject.toml").read_text() == "[project]\n"
    assert (found / "größe.txt").read_bytes() == b"1"
    assert os.access(found / "bin" / "run", os.X_OK)
    assert (found / "link").readlink() == Path("pyproject.toml")
    assert (found.parent / "model.bin").read_bytes() == b""
    assert not (tmp_path / "ran").exists()
    assert git(repository, "status", "--porcelain") == "M api/pyproject.toml"


def test_only_commits_are_found(repository: Path, tmp_path: Path) -> None:
    """Names of images are not commits, and options of git are not passed on."""
    git(repository, "tag", "v1")
    assert find_commit(repository, "v1") == find_commit(repository, "HEAD")
    for name in ("v2", "shop:1", "registry.test/shop", "main:api", "--all", "main..v1", ""):
        assert find_commit(repository, name) is None
    assert find_commit(tmp_path, MAIN) is None


def test_error_says_why_there_is_no_such_commit(repository: Path, tmp_path: Path) -> None:
    """A shallow clone lacks older commits."""
    first = git(repository, "rev-parse", "HEAD")
    git(repository, "commit", "--quiet", "--allow-empty", "--message=two")
    git(tmp_path, "clone", "--quiet", "--depth=1", repository.as_uri(), "clone")
    clone = tmp_path / "clone"
    assert find_commit(clone, first) is None
    assert "shallow" in no_commit(clone, first).problem
    assert "fetch-depth" in no_commit(clone, first).fix
    assert "shallow" not in no_commit(repository, "v2").problem
    assert "not in a git repository" in no_commit(tmp_path, "v2").problem


def test_paths_that_git_refuses_are_left_out(repository: Path, tmp_path: Path) -> None:
    """A repository may come from another tool."""
    blob = git(repository, "rev-parse", f"{MAIN}:api/pyproject.toml")
    raw = bytes.fromhex(blob)
    entries = b"".join(b"100644 " + name + b"\0" + raw for name in (b"..", b".GIT", b"fine"))
    tree = subprocess.run(
        ["git", "hash-object", "-t", "tree", "-w", "--literally", "--stdin"],
        cwd=repository,
        input=entries,
        check=True,
        capture_output=True,
    ).stdout.decode()
    commit = git(repository, "commit-tree", tree.strip(), "-m", "odd")
    write_tree(repository, commit, tmp_path / "temporary")
    assert [path.name for path in (tmp_path / "temporary" / "shop").iterdir()] == ["fine"]


def test_partial_clone_needs_only_what_is_read(repository: Path, tmp_path: Path) -> None:
    """Without the content of pyproject.toml, one error says so."""
    commit = find_commit(repository, MAIN)
    assert commit
    for name in ("api/bin/run", "api/pyproject.toml"):
        blob = git(repository, "rev-parse", f"{MAIN}:{name}")
        (repository / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
        if not name.endswith(".toml"):
            found = write_tree(repository / "api", commit, tmp_path / "first")
            assert (found / "bin" / "run").read_bytes() == b""
    with pytest.raises(DockerCacheError, match="does not have the content of"):
        write_tree(repository, commit, tmp_path / "temporary")
