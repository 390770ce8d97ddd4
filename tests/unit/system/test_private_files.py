"""Files that only their owner can read, and the check for paths in the build context."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.system.private_files import inside, refuse_inside, write_private

if TYPE_CHECKING:
    from pathlib import Path


def test_readable_file_is_replaced(tmp_path: Path) -> None:
    """It is not rewritten in place."""
    path = tmp_path / "auth.toml"
    path.write_text("old")
    path.chmod(0o666)
    with path.open() as reader:
        write_private(path, "secret")
        assert reader.read() == "old"
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("secret", 0o600)
    assert [entry.name for entry in tmp_path.iterdir()] == ["auth.toml"]


def test_target_of_symlink_is_replaced(tmp_path: Path) -> None:
    """It is created if it does not exist; the link stays."""
    link, target = tmp_path / "link", tmp_path / "target"
    link.symlink_to(target)
    write_private(link, "one")
    write_private(link, "two")
    assert link.is_symlink()
    assert (target.read_text(), target.stat().st_mode & 0o777) == ("two", 0o600)


@pytest.mark.parametrize("name", ["missing/auth", "folder", "pipe", "loop", "file/auth"])
def test_unwritable_path_is_an_error(tmp_path: Path, name: str) -> None:
    """It has no parent, is a folder, a pipe or a loop of links, or has a file as parent."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(DockerCacheError) as caught:
        write_private(tmp_path / name, "secret")
    assert caught.value.fix
    assert sorted(tmp_path.iterdir()) == before


def test_inside_follows_symlinks_and_dots(tmp_path: Path) -> None:
    """A sibling with a similar name is outside."""
    context = tmp_path / "context"
    (context / "deep").mkdir(parents=True)
    (tmp_path / "context-2").mkdir()
    (tmp_path / "way-in").symlink_to(context / "deep")
    (tmp_path / "alias").symlink_to(context)
    assert inside(context, context)
    assert inside(context / "new/auth.toml", context)
    assert inside(tmp_path / "way-in/auth.toml", context)
    assert inside(context / "auth.toml", tmp_path / "alias")
    assert not inside(context / "../auth.toml", context)
    assert not inside(tmp_path / "context-2/auth.toml", context)
    (context / "way-out").symlink_to(tmp_path)
    assert not inside(context / "way-out/auth.toml", context)


def test_rejects_secret_in_build_context(tmp_path: Path) -> None:
    """The fix names the context, which may be larger than the project."""
    refuse_inside(tmp_path / "auth.toml", tmp_path / "mono")
    with pytest.raises(DockerCacheError, match="is inside the build context") as raised:
        refuse_inside(tmp_path / "mono" / "api" / ".." / "auth.toml", tmp_path / "mono")
    assert raised.value.fix == f"Choose a path outside {tmp_path / 'mono'} for --auth-file."
