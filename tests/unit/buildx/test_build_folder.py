"""The private folder of a build: permissions, place and removal."""

from __future__ import annotations

import fcntl
import os
import stat
from typing import TYPE_CHECKING

import pytest

from poetry_docker_cache.buildx.build_folder import PREFIX, build_folder, sweep
from poetry_docker_cache.errors import DockerCacheError

if TYPE_CHECKING:
    from pathlib import Path


def mode(path: Path) -> int:
    """Return a path's permissions."""
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """Return a folder for temporary files."""
    (tmp_path / "base").mkdir()
    return tmp_path / "base"


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """Return a build context."""
    (tmp_path / "context").mkdir()
    return tmp_path / "context"


def test_folder_and_files_are_private(base: Path, context: Path) -> None:
    """Other users can neither enter the folder nor read its files, whatever the umask."""
    old = os.umask(0)
    try:
        with build_folder(context=context, bases=[base]) as folder:
            file = folder.write("secret/auth.toml", "pässword\n")
            readable = folder.write("build/Dockerfile", "FROM x\n", mode=0o644)
            assert folder.path.parent == base
            assert [mode(folder.path), mode(file.parent)] == [0o700, 0o700]
            assert [mode(file), mode(readable)] == [0o600, 0o644]
            assert file.read_bytes() == "pässword\n".encode()
    finally:
        os.umask(old)
    assert list(base.iterdir()) == []


def test_folder_is_removed_after_exception(base: Path, context: Path) -> None:
    """The exception is raised again."""

    def fail() -> None:
        with build_folder(context=context, bases=[base]) as folder:
            folder.write("auth", "x")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert list(base.iterdir()) == []


def test_write_never_overwrites(base: Path, context: Path) -> None:
    """An existing file or symlink is an error, and its target stays unchanged."""
    target = base.parent / "target"
    target.write_text("mine")
    with build_folder(context=context, bases=[base]) as folder:
        (folder.path / "auth").symlink_to(target)
        with pytest.raises(DockerCacheError, match="cannot be written"):
            folder.write("auth", "secret")
    assert target.read_text() == "mine"


def test_folder_of_killed_build_is_removed(base: Path, context: Path) -> None:
    """Locked folders and other folders stay."""
    dead, live, link, public = (base / f"{PREFIX}{digit * 16}" for digit in "0123")
    clone = base / f"{PREFIX}fork"
    for folder in (dead, live, public, clone):
        folder.mkdir(mode=0o755 if folder == public else 0o700)
        (folder / "secret").mkdir()
        (folder / "secret/auth").write_text("x")
    link.symlink_to(context)
    holder = os.open(live, os.O_RDONLY)
    fcntl.flock(holder, fcntl.LOCK_EX)
    try:
        sweep([base])
        assert not dead.exists()
        assert (live / "secret/auth").exists()
    finally:
        os.close(holder)
    left = {path.name for path in base.iterdir()}
    assert left == {link.name, live.name, public.name, clone.name}
    assert context.is_dir()


def test_folder_of_another_user_stays(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only this user's folders are removed."""
    foreign = base / f"{PREFIX}{'0' * 16}"
    foreign.mkdir(mode=0o700)
    own = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: own + 1)
    sweep([base])
    assert foreign.exists()


def test_concurrent_builds_keep_their_folders(base: Path, context: Path) -> None:
    """The folder of a running build is locked."""
    with build_folder(context=context, bases=[base]) as first:
        first.write("auth", "x")
        sweep([base])
        with build_folder(context=context, bases=[base]) as second:
            assert first.path != second.path
            assert (first.path / "auth").exists()
        assert (first.path / "auth").exists()
    assert list(base.iterdir()) == []


def test_folder_removed_before_locking_is_made_again(
    base: Path, context: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another build may take a new folder for an old one."""
    original = os.open
    robbed: list[Path] = []

    def rob_once(path: Path, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if not robbed:
            robbed.append(path)
            path.rmdir()
        return original(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", rob_once)
    with build_folder(context=context, bases=[base]) as folder:
        assert robbed
        assert folder.write("auth", "x").exists()
    assert list(base.iterdir()) == []


def test_folder_removed_while_locking_is_made_again(
    base: Path, context: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lock on a removed folder protects nothing."""
    original = fcntl.flock
    robbed: list[int] = []

    def rob_once(descriptor: int, operation: int) -> None:
        if not robbed:
            robbed.append(descriptor)
            next(base.iterdir()).rmdir()
        original(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", rob_once)
    with build_folder(context=context, bases=[base]) as folder:
        assert robbed
        assert folder.write("auth", "x").exists()
        assert mode(folder.path) == 0o700
        sweep([base])
        assert folder.path.exists()


def test_folder_is_outside_the_context(base: Path, context: Path) -> None:
    """A folder for temporary files inside the context is skipped, even through symlinks."""
    (context / "tmp").mkdir()
    link = base.parent / "link"
    link.symlink_to(context / "tmp")
    with build_folder(context=context, bases=[context / "tmp", link, base]) as folder:
        assert folder.path.parent == base


def test_no_usable_folder_is_an_error(context: Path) -> None:
    """The error suggests setting TMPDIR."""
    with (
        pytest.raises(
            DockerCacheError, match="No writable folder outside the build context"
        ) as caught,
        build_folder(context=context, bases=[context, context / "missing"]),
    ):
        pass
    assert "TMPDIR" in caught.value.fix


def test_runtime_folder_is_preferred(
    base: Path, context: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is in memory."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(base))
    with build_folder(context=context) as folder:
        assert folder.path.parent == base


def test_runtime_folder_of_another_user_is_skipped(
    base: Path, context: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `sudo -E`, the variable points to a folder in which another user could rename ours."""
    os.chown(base, 12345, -1) if os.geteuid() == 0 else pytest.skip("needs root")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(base))
    with build_folder(context=context) as folder:
        assert folder.path.parent != base


def test_snap_reads_its_own_folder(
    tmp_path: Path, context: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Docker from a snap sees neither /tmp nor the runtime folder."""
    common = tmp_path / "home/snap/docker/common"
    common.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with build_folder(context=context, docker="/snap/bin/docker") as folder:
        assert folder.path.parent == common
