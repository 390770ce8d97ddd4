"""The folder of `download-cache` after a build."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from poetry_docker_cache.buildx.kept_wheels import LIST, PARTS, keep

if TYPE_CHECKING:
    from pathlib import Path

A1, A2, B1 = (f"{name}-py3-none-any.whl" for name in ("a-1", "a-2", "b-1"))


def export_wheels(folder: Path, named: list[str], *files: str, project: str = "shop") -> None:
    """Imitate the export of a build: new files, and the names of all needed wheels."""
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


def test_unneeded_wheels_are_removed(tmp_path: Path) -> None:
    """Only those of the last build stay."""
    export_wheels(tmp_path, [A1, B1], A1, B1)
    assert {path.name for path in tmp_path.iterdir()} == {A1, B1, LIST}
    export_wheels(tmp_path, [A2, B1], A2)
    assert {path.name for path in tmp_path.iterdir()} == {A2, B1, LIST}
    assert (tmp_path / LIST).read_text() == f"{A2}\tshop\n{B1}\tshop\n"
    before = (tmp_path / LIST).stat().st_mtime_ns
    export_wheels(tmp_path, [A2, B1])
    assert (tmp_path / LIST).stat().st_mtime_ns == before


def test_two_projects_share_a_folder(tmp_path: Path) -> None:
    """A wheel stays as long as one of them needs it."""
    export_wheels(tmp_path, [A1, B1], A1, B1)
    export_wheels(tmp_path, [A1, A2], A2, project="other")
    assert {path.name for path in tmp_path.iterdir()} == {A1, A2, B1, LIST}
    export_wheels(tmp_path, [B1])
    assert {path.name for path in tmp_path.iterdir()} == {A1, A2, B1, LIST}
    export_wheels(tmp_path, [A2], project="other")
    assert {path.name for path in tmp_path.iterdir()} == {A2, B1, LIST}


def test_other_wheels_stay(tmp_path: Path) -> None:
    """A folder may already contain wheels."""
    for name in (A1, "notes.txt"):
        (tmp_path / name).write_text("mine")
    export_wheels(tmp_path, [B1], B1)
    export_wheels(tmp_path, [])
    assert {path.name for path in tmp_path.iterdir()} == {A1, "notes.txt", LIST}


def test_edited_list_removes_only_wheels(tmp_path: Path) -> None:
    """It cannot name other files."""
    outside = tmp_path / f"outside-{A1}"
    outside.touch()
    folder = tmp_path / "wheels"
    folder.mkdir()
    (folder / "notes.txt").touch()
    (folder / LIST).write_text(f"../{outside.name}\tshop\nnotes.txt\tshop\n")
    export_wheels(folder, [])
    assert outside.exists()
    assert (folder / "notes.txt").exists()


def test_damaged_list(tmp_path: Path) -> None:
    """New wheels are kept, and a new list is written."""
    (tmp_path / LIST).write_bytes(b"\xff\xfe\0\n")
    export_wheels(tmp_path, [A1], A1)
    assert (tmp_path / LIST).read_text() == f"{A1}\tshop\n"


def test_interrupted_while_moving(tmp_path: Path) -> None:
    """Old wheels stay, and the next build knows the new ones."""
    export_wheels(tmp_path, [A1], A1)
    (tmp_path / A2).mkdir()  # in the way of a file: this one cannot be moved
    with pytest.raises(OSError, match="directory"):
        export_wheels(tmp_path, [A2, B1], A2, B1)
    assert (tmp_path / A1).read_text() == "new"
    assert (tmp_path / LIST).read_text() == f"{A1}\tshop\n{A2}\tshop\n{B1}\tshop\n"


def test_folders_of_killed_builds_are_removed(tmp_path: Path) -> None:
    """Recent ones may belong to a running build."""
    old, young = tmp_path / f"{PARTS}old", tmp_path / f"{PARTS}young"
    for folder in (old, young):
        folder.mkdir()
    os.utime(old, (0, time.time() - 2 * 24 * 60 * 60))
    export_wheels(tmp_path, [])
    assert [path.name for path in tmp_path.iterdir()] == [young.name]


def test_folder_that_cannot_be_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another build may be removing it; new wheels are kept."""
    old = tmp_path / f"{PARTS}old"
    old.mkdir()
    os.utime(old, (0, 0))

    def gone(path: Path) -> None:
        raise FileNotFoundError(path)

    monkeypatch.setattr("shutil.rmtree", gone)
    export_wheels(tmp_path, [A1], A1)
    assert (tmp_path / A1).exists()
