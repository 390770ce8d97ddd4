"""Tests of the entries of a layer."""

from __future__ import annotations

import pytest

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.no_engine.tree import Bytes, Entry, Tree


def file(path: str) -> Entry:
    """Return an empty file."""
    return Entry(path=path, mode=0o644, mtime=1, content=Bytes(b""))


def folder(path: str, mode: int = 0o700) -> Entry:
    """Return a folder."""
    return Entry(path=path, mode=mode, mtime=1)


def test_folders_come_first() -> None:
    """They are added with the tree's time, in whatever order the files are."""
    paths = ["a/b/c", "a-b", "z", "a/b.c", "ä"]
    trees = [Tree(map(file, names), mtime=7) for names in (paths, paths[::-1])]
    assert [entry.path for entry in trees[0]] == sorted([*paths, "a", "a/b"])
    assert [*trees[0]] == [*trees[1]]
    assert trees[0].get("a/b") == Entry(path="a/b", mode=0o755, mtime=7)


def test_own_mode_of_a_folder_counts() -> None:
    """Before or after the files in it."""
    for entries in ([folder("a"), file("a/b")], [file("a/b"), folder("a")]):
        found = Tree(entries, mtime=7).get("a")
        assert found
        assert found.mode == 0o700


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ([file("a"), file("a")], "/a is already a file"),
        ([folder("a"), folder("a")], "/a is already a folder"),
        ([file("a/b"), file("a")], "/a is already a folder"),
        ([file("a"), file("a/b/c")], "/a is already a file in the image, not a folder"),
        ([Entry(path="a", mode=0o777, mtime=1, link="/etc"), file("a/b")], "not a folder"),
        *(
            ([file(path)], "cannot contain the path")
            for path in ("", "/a", "a/", "a//b", ".", "./a", "a/../b", "..", "a\0", "a\udcff")
        ),
    ],
)
def test_impossible_entries(entries: list[Entry], said: str) -> None:
    """A path is used once, is normal, and lies in a folder."""
    with pytest.raises(DockerCacheError, match=said):
        Tree(entries, mtime=1)
