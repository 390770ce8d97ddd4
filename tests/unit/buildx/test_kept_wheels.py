"""The folder of `download-cache` after a build."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from poetry_docker_cache.buildx.kept_wheels import LIST, PARTS, keep

if TYPE_CHECKING:
    from pathlib import Path

A1, A2, B1 = (f"{it}-py3-none-any.whl" for it in ("a-1", "a-2", "b-1"))


def give_back(folder: Path, named: list[str], *files: str, project: str = "shop") -> None:
    """Do what a build's export does: some files arrive, and the names of all that are wanted."""
    arrived = folder / f"{PARTS}x" / "linux_amd64"
    arrived.mkdir(parents=True)
    (arrived / "named.txt").write_text("".join(f"{name}\n" for name in named))
    for name in files:
        (arrived / name).write_text("new")
    keep(arrived.parent, folder, project)
    (arrived / "named.txt").unlink()
    assert list(arrived.iterdir()) == []
    arrived.rmdir()
    arrived.parent.rmdir()


def test_what_is_not_wanted_any_more_goes(tmp_path: Path) -> None:
    """The folder holds what the last build names, however often a version changes."""
    give_back(tmp_path, [A1, B1], A1, B1)
    assert {path.name for path in tmp_path.iterdir()} == {A1, B1, LIST}
    give_back(tmp_path, [A2, B1], A2)
    assert {path.name for path in tmp_path.iterdir()} == {A2, B1, LIST}
    assert (tmp_path / LIST).read_text() == f"{A2}\tshop\n{B1}\tshop\n"
    before = (tmp_path / LIST).stat().st_mtime_ns
    give_back(tmp_path, [A2, B1])
    assert (tmp_path / LIST).stat().st_mtime_ns == before


def test_two_projects_share_a_folder(tmp_path: Path) -> None:
    """Neither loses what it needs to the other; what both have given up goes."""
    give_back(tmp_path, [A1, B1], A1, B1)
    give_back(tmp_path, [A1, A2], A2, project="other")
    assert {path.name for path in tmp_path.iterdir()} == {A1, A2, B1, LIST}
    give_back(tmp_path, [B1])
    assert {path.name for path in tmp_path.iterdir()} == {A1, A2, B1, LIST}
    give_back(tmp_path, [A2], project="other")
    assert {path.name for path in tmp_path.iterdir()} == {A2, B1, LIST}


def test_what_somebody_else_put_there_stays(tmp_path: Path) -> None:
    """A folder of wheels that already was one loses none of them, wanted or not."""
    for name in (A1, "notes.txt"):
        (tmp_path / name).write_text("mine")
    give_back(tmp_path, [B1], B1)
    give_back(tmp_path, [])
    assert {path.name for path in tmp_path.iterdir()} == {A1, "notes.txt", LIST}


def test_a_list_that_was_tampered_with(tmp_path: Path) -> None:
    """Its lines remove wheels of this folder, and no other file."""
    outside = tmp_path / f"outside-{A1}"
    outside.touch()
    folder = tmp_path / "wheels"
    folder.mkdir()
    (folder / "notes.txt").touch()
    (folder / LIST).write_text(f"../{outside.name}\tshop\nnotes.txt\tshop\n")
    give_back(folder, [])
    assert outside.exists()
    assert (folder / "notes.txt").exists()


def test_a_list_that_is_damaged(tmp_path: Path) -> None:
    """The image is built by then: new wheels are kept, and the list begins anew."""
    (tmp_path / LIST).write_bytes(b"\xff\xfe\0\n")
    give_back(tmp_path, [A1], A1)
    assert (tmp_path / LIST).read_text() == f"{A1}\tshop\n"


def test_interrupted(tmp_path: Path) -> None:
    """What was there stays, and what came in is known as ours by the next build."""
    give_back(tmp_path, [A1], A1)
    (tmp_path / A2).mkdir()  # in the way of a file: this one cannot be moved
    with pytest.raises(OSError, match="directory"):
        give_back(tmp_path, [A2, B1], A2, B1)
    assert (tmp_path / A1).read_text() == "new"
    assert (tmp_path / LIST).read_text() == f"{A1}\tshop\n{A2}\tshop\n{B1}\tshop\n"


def test_what_a_killed_build_left(tmp_path: Path) -> None:
    """It is removed when it is old; what is young may belong to a build that runs."""
    old, young = tmp_path / f"{PARTS}old", tmp_path / f"{PARTS}young"
    for folder in (old, young):
        folder.mkdir()
    os.utime(old, (0, time.time() - 2 * 24 * 60 * 60))
    give_back(tmp_path, [])
    assert [path.name for path in tmp_path.iterdir()] == [young.name]


def test_what_cannot_be_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another build may be removing it just then: new wheels are kept all the same."""
    old = tmp_path / f"{PARTS}old"
    old.mkdir()
    os.utime(old, (0, 0))

    def gone(path: Path) -> None:
        raise FileNotFoundError(path)

    monkeypatch.setattr("shutil.rmtree", gone)
    give_back(tmp_path, [A1], A1)
    assert (tmp_path / A1).exists()
