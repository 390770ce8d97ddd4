"""The memory of the last build."""

from __future__ import annotations

import os
import stat
import threading
from typing import TYPE_CHECKING

import pytest

from poetry_docker_cache.report import earlier_build
from poetry_docker_cache.report.earlier_build import EarlierBuild, recall, remember

if TYPE_CHECKING:
    from pathlib import Path

BUILD = EarlierBuild(layers={"pure-1": {"rich": "14.0.0"}}, base="sha256:a", since=5.0)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of the memory."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "poetry-docker-cache" / "builds"


def test_each_image_is_remembered_separately(tmp_path: Path, folder: Path) -> None:
    """Files are private, and do not show the name of the project."""
    assert recall(tmp_path, "api") is None
    remember(tmp_path, "api", BUILD)
    assert recall(tmp_path, "api") == BUILD
    assert recall(tmp_path, "worker") is None
    assert recall(tmp_path / "other", "api") is None
    (file,) = folder.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert tmp_path.name not in file.name


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"layers": []}', '{"layers": {}, "since": {}}', '{"versions": {}}']
)
def test_damaged_file_is_ignored(tmp_path: Path, folder: Path, text: str) -> None:
    """The next build replaces it."""
    remember(tmp_path, "", BUILD)
    (file,) = folder.iterdir()
    file.write_text(text)
    assert recall(tmp_path, "") is None
    remember(tmp_path, "", BUILD)
    assert recall(tmp_path, "") == BUILD


def test_folder_that_cannot_be_written(tmp_path: Path, folder: Path) -> None:
    """The build is not disturbed."""
    folder.parent.mkdir(parents=True)
    folder.write_text("in the way")
    remember(tmp_path, "", BUILD)
    assert recall(tmp_path, "") is None


def test_oldest_builds_are_forgotten(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder does not grow forever."""
    monkeypatch.setattr(earlier_build, "_MOST", 3)
    for number in range(5):
        remember(tmp_path, str(number), BUILD)
        newest = max(folder.iterdir(), key=lambda file: file.stat().st_mtime_ns)
        os.utime(newest, (number, number))
    assert len(list(folder.iterdir())) == 3
    assert recall(tmp_path, "4") == BUILD
    assert recall(tmp_path, "0") is None


def test_builds_at_the_same_time(tmp_path: Path, folder: Path) -> None:
    """Each writes a whole file, and the last one wins."""
    builds = [EarlierBuild(layers={"pure-1": {"a": str(n) * 9999}}) for n in range(8)]
    threads = [threading.Thread(target=remember, args=[tmp_path, "", each]) for each in builds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert recall(tmp_path, "") in builds
    assert len(list(folder.iterdir())) == 1
