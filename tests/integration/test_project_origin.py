"""The commit and the repository that a project comes from, read by git."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from poetry_docker_cache.project.git_origin import Origin, read_origin

if TYPE_CHECKING:
    from pathlib import Path

TOKEN = "s3cr3t"


def git(folder: Path, *words: str) -> str:
    """Run git in a repository of the test."""
    done = subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@b.test", *words],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with a commit, a project in a folder, and a remote with a token."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "code.py").write_text("1\n", encoding="utf-8")
    (tmp_path / ".gitignore").write_text("*.log\n", encoding="utf-8")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "remote", "add", "origin", f"https://ci:{TOKEN}@git.example/team/shop.git")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message=first")
    return tmp_path


def origin(repository: Path) -> Origin:
    """Read the origin of the project in its folder."""
    return read_origin(repository / "shop", repository / "shop")


def test_commit_and_address(repository: Path) -> None:
    """Ignored files, and files outside the build context, do not make it dirty."""
    (repository / "shop" / "debug.log").touch()
    (repository / "other.py").touch()
    commit = git(repository, "rev-parse", "HEAD")
    assert origin(repository) == Origin(revision=commit, source="https://git.example/team/shop")
    above = read_origin(repository / "shop", repository)
    assert above.revision == f"{commit}-dirty"


@pytest.mark.parametrize("name", ["code.py", "new.py"])
def test_changed_and_new_files_make_the_revision_dirty(repository: Path, name: str) -> None:
    """The image may have them, and the commit does not."""
    (repository / "shop" / name).write_text("2\n", encoding="utf-8")
    assert origin(repository).revision == f"{git(repository, 'rev-parse', 'HEAD')}-dirty"


def test_programs_of_the_repository_do_not_run(repository: Path) -> None:
    """Git would run a filter to compare a changed file."""
    git(repository, "config", "filter.own.clean", f"touch {repository}/ran; cat")
    (repository / ".gitattributes").write_text("* filter=own\n", encoding="utf-8")
    (repository / "shop" / "code.py").write_text("2\n", encoding="utf-8")
    assert origin(repository) == Origin(source="https://git.example/team/shop")
    assert not (repository / "ran").exists()


def test_only_remote_is_used_without_origin(repository: Path) -> None:
    """Of several others, none is known to be the right one."""
    git(repository, "remote", "rename", "origin", "upstream")
    assert origin(repository).source == "https://git.example/team/shop"
    git(repository, "remote", "add", "fork", "https://git.example/fork/shop.git")
    assert not origin(repository).source


def test_unknown_without_repository_or_commit(tmp_path: Path) -> None:
    """Nothing is invented."""
    assert read_origin(tmp_path, tmp_path) == Origin()
    git(tmp_path, "init", "--quiet")
    assert read_origin(tmp_path, tmp_path) == Origin()
