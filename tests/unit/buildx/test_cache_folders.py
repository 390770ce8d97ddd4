"""Cache folders: read only if complete, and replaced at once."""

from __future__ import annotations

import json
import os
import shutil
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cache_layouts import layers_of, write_layout

from poetry_docker_cache.buildx.cache_folders import (
    Damaged,
    OpenFolder,
    opened,
    refuse_foreign,
    survey,
)
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.system.folder_locks import lock, waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LEFTOVER = f".poetry-docker-cache-{'a' * 16}"


@pytest.fixture(params=[True, False], ids=["image", "index"])
def cache(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Make a folder with a complete cache of two layers."""
    folder = tmp_path / "cache"
    write_layout(folder, ["one", "two"], as_image=request.param)
    return folder


def blobs(folder: Path) -> set[str]:
    """List the blobs in a folder."""
    return {path.name for path in (folder / "blobs" / "sha256").iterdir()}


def blob_with(folder: Path, text: str) -> Path:
    """Find a blob by its content."""
    return next(p for p in (folder / "blobs" / "sha256").iterdir() if text in p.read_text())


def build(folder: Path, layers: Sequence[str]) -> OpenFolder:
    """Read and write a folder as a successful build does."""
    with opened(folder, reads=True, writes=True) as found:
        assert found.target
        write_layout(found.target, layers)
        assert found.publish() is None
    return found


def test_complete_cache(cache: Path) -> None:
    """All blobs that the index refers to are found, in either format."""
    assert survey(cache) == blobs(cache)
    (cache / "blobs" / "sha256" / ("f" * 64)).write_text("of an older build")
    assert survey(cache) == blobs(cache) - {"f" * 64}


def _cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def _other_bytes(path: Path) -> None:
    path.write_bytes(b"x" * path.stat().st_size)


def _folder_instead(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGES: dict[str, Callable[[Path], object]] = {
    "missing layer": lambda folder: blob_with(folder, "one").unlink(),
    "layer cut short": lambda folder: _cut_short(blob_with(folder, "two")),
    "layer of other bytes": lambda folder: _other_bytes(blob_with(folder, "two")),
    "layer is a folder": lambda folder: _folder_instead(blob_with(folder, "two")),
    "missing manifest": lambda folder: blob_with(folder, "mediaType").unlink(),
    "missing config": lambda folder: blob_with(folder, "config of").unlink(),
    "no index": lambda folder: (folder / "index.json").unlink(),
    "half an index": lambda folder: _cut_short(folder / "index.json"),
    "empty index": lambda folder: (folder / "index.json").write_text(""),
    "index of nothing": lambda folder: (folder / "index.json").write_text("{}"),
    "index of no table": lambda folder: (folder / "index.json").write_text("[1]"),
    "index of odd things": lambda folder: (folder / "index.json").write_text(
        '{"manifests": [1, "x"]}'
    ),
    "index is no list": lambda folder: (folder / "index.json").write_text('{"manifests": {"a":1}}'),
    "a digest that leads elsewhere": lambda folder: (folder / "index.json").write_text(
        json.dumps({"manifests": [{"digest": "sha256:../../../etc/passwd", "size": 1}]})
    ),
    "no blobs": lambda folder: shutil.rmtree(folder / "blobs"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damaged_cache_is_not_read(cache: Path, damage: Callable[[Path], object]) -> None:
    """There is one note, and the next export repairs the cache."""
    damage(cache)
    with pytest.raises(Damaged):
        survey(cache)
    with opened(cache, reads=True, writes=True) as found:
        assert found.source is None
        (note,) = found.notes
        assert "is not read" in note
        assert "The build starts without it" in note
        assert found.target
        write_layout(found.target, ["one", "three"])
        assert found.publish() is None
    assert survey(cache) == blobs(cache)
    assert layers_of(cache) == {"one", "three"}


def test_missing_and_empty_folder(tmp_path: Path) -> None:
    """Neither is a cache nor an error."""
    for folder in (tmp_path / "a" / "b", tmp_path / "empty"):
        if folder.name == "empty":
            folder.mkdir()
        found = build(folder, ["one"])
        assert (found.source, found.notes) == (None, [])
        assert layers_of(folder) == {"one"}


def test_reading_only(cache: Path, tmp_path: Path) -> None:
    """An existing cache is read, a missing folder is not created."""
    before = blobs(cache)
    with opened(cache, reads=True, writes=False) as found:
        assert found.target is None
        assert found.source
        assert layers_of(found.source) == {"one", "two"}
        assert found.publish() is None
    assert blobs(cache) == before
    with opened(tmp_path / "none", reads=True, writes=False) as found:
        assert (found.source, found.target, found.notes) == (None, None, [])
    assert not (tmp_path / "none").exists()


def test_writing_only(cache: Path) -> None:
    """Nothing is read, and the private copy is empty."""
    with opened(cache, reads=False, writes=True) as found:
        assert found.source is None
        assert found.target
        assert not list(found.target.iterdir())


def test_unused_blobs_are_removed(cache: Path) -> None:
    """Only blobs of the newest build stay."""
    for count in range(4):
        build(cache, ["one", f"layer {count}"])
    assert layers_of(cache) == {"one", "layer 3"}
    assert blobs(cache) == survey(cache)
    assert sorted(path.name for path in cache.iterdir()) == ["blobs", "index.json", "oci-layout"]


def test_unchanged_layers_are_not_copied(cache: Path) -> None:
    """The private copy consists of links."""
    inode = blob_with(cache, "one").stat().st_ino
    build(cache, ["one", "three"])
    assert blob_with(cache, "one").stat().st_ino == inode


def test_interrupted_build_keeps_old_cache(cache: Path) -> None:
    """It may end at any point of the export."""

    def build_until_a_signal_comes() -> None:
        with opened(cache, reads=True, writes=True) as found:
            assert found.target
            write_layout(found.target, ["three"])
            raise SystemExit(143)

    with pytest.raises(SystemExit):
        build_until_a_signal_comes()
    assert layers_of(cache) == {"one", "two"}
    assert blobs(cache) == survey(cache)
    assert not [path for path in cache.iterdir() if path.name.startswith(".")]


def test_killed_while_publishing_leaves_complete_cache(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each step the folder has the old or the new cache."""
    replace, steps = Path.replace, 0
    seen = set()

    def look_before_each_step(self: Path, target: Path) -> Path:
        nonlocal steps
        steps += 1
        survey(cache)
        seen.add(frozenset(layers_of(cache)))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", look_before_each_step)
    build(cache, ["two", "three"])
    assert steps > 3
    assert layers_of(cache) == {"two", "three"}
    assert seen == {frozenset({"one", "two"})}


def test_failed_first_build_leaves_no_folder(tmp_path: Path) -> None:
    """A new folder without a cache is useless."""
    with opened(tmp_path / "c", reads=True, writes=True):
        pass
    assert not (tmp_path / "c").exists()


def test_failed_export_keeps_old_cache(cache: Path) -> None:
    """If BuildKit ignores errors, a successful build may have written no cache or half of it."""
    with opened(cache, reads=True, writes=True) as found:
        assert found.publish() is None
    assert layers_of(cache) == {"one", "two"}
    with opened(cache, reads=False, writes=True) as found:
        assert "was left unchanged: BuildKit has written no cache" in (found.publish() or "")
    with opened(cache, reads=False, writes=True) as found:
        assert found.target
        write_layout(found.target, ["three"])
        _cut_short(blob_with(found.target, "three"))
        assert "was left unchanged: a blob is cut short" in (found.publish() or "")
    with opened(cache, reads=False, writes=True) as found:
        assert found.target
        write_layout(found.target, ["three"])
        blob_with(found.target, "three").unlink()
        assert "was left unchanged" in (found.publish() or "")
    assert layers_of(cache) == {"one", "two"}
    assert survey(cache) == blobs(cache)


def test_concurrent_builds_share_folder(cache: Path) -> None:
    """Each reads the cache from before its start, and the last one's cache stays."""
    with opened(cache, reads=True, writes=True) as ours:
        assert ours.source
        assert ours.target
        build(cache, ["three"])
        assert layers_of(cache) == {"three"}
        assert layers_of(ours.source) == {"one", "two"}
        write_layout(ours.target, ["one", "four"])
        assert ours.publish() is None
    assert layers_of(cache) == {"one", "four"}
    assert survey(cache) == blobs(cache)


def test_many_concurrent_builds(tmp_path: Path) -> None:
    """The cache is complete at every moment."""
    cache = tmp_path / "cache"
    notes: list[str] = []

    def run(name: int) -> None:
        for count in range(8):
            with opened(cache, reads=True, writes=True) as found:
                assert found.target
                write_layout(found.target, ["shared", f"{name}", f"{name} {count}"])
                notes.extend(filter(None, [*found.notes, found.publish()]))

    threads = [threading.Thread(target=run, args=[name]) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not notes
    assert survey(cache) == blobs(cache)


def test_private_folders_of_killed_builds_are_removed(cache: Path) -> None:
    """Locked ones stay."""
    for name in (LEFTOVER, f".poetry-docker-cache-{'b' * 16}"):
        (cache / name / "blobs").mkdir(parents=True)
    descriptor = lock(cache / LEFTOVER)
    assert descriptor is not None
    with opened(cache, reads=True, writes=False):
        found = [path.name for path in cache.iterdir() if path.name.startswith(".")]
        assert LEFTOVER in found
        assert f".poetry-docker-cache-{'b' * 16}" not in found
    os.close(descriptor)
    with opened(cache, reads=True, writes=False):
        pass
    assert not (cache / LEFTOVER).exists()


def test_without_hard_links(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder itself is read, and written through a copy."""

    def fail(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", fail)
    with opened(cache, reads=True, writes=True) as found:
        assert found.source == cache
        assert found.target
        assert not list(found.target.iterdir())
        write_layout(found.target, ["three"])
        assert found.publish() is None
    assert layers_of(cache) == {"three"}
    assert blobs(cache) == survey(cache)


def test_unwritable_folder_is_a_note(tmp_path: Path) -> None:
    """The build continues without it."""
    (tmp_path / "file").touch()
    with opened(tmp_path / "file" / "c", reads=True, writes=True) as found:
        assert (found.source, found.target) == (None, None)
        (note,) = found.notes
        assert "cannot be written: Not a directory" in note
        assert found.publish() is None


def test_lock_waits_for_other_build(tmp_path: Path) -> None:
    """Only one build publishes at a time."""
    order: list[str] = []

    def other() -> None:
        with waiting(tmp_path):
            order.append("other")

    thread = threading.Thread(target=other)
    with waiting(tmp_path):
        thread.start()
        thread.join(0.1)
        order.append("first")
    thread.join()
    assert order == ["first", "other"]


@pytest.mark.parametrize("name", ["pyproject.toml", "src", "image.tar.gz", ".env"])
def test_folder_with_other_files_is_refused(name: str, cache: Path) -> None:
    """Other files are never modified."""
    refuse_foreign(cache, cache.parent / "src")
    (cache / ".gitignore").touch()
    (cache / LEFTOVER).mkdir()
    (cache / "lost+found").mkdir()  # of a volume that is mounted there
    refuse_foreign(cache, cache.parent / "src")
    (cache / name).touch()
    with pytest.raises(DockerCacheError, match=name):
        refuse_foreign(cache, cache.parent / "src")


def test_project_folder_is_refused(tmp_path: Path) -> None:
    """So are its parent folders, and a file."""
    context = tmp_path / "a" / "project"
    context.mkdir(parents=True)
    for folder in (context, context.parent, tmp_path, Path("/")):
        with pytest.raises(DockerCacheError, match="contains the project"):
            refuse_foreign(folder, context)
    (tmp_path / "file").touch()
    with pytest.raises(DockerCacheError, match="is a file"):
        refuse_foreign(tmp_path / "file", context)
    refuse_foreign(context / "new", context)
