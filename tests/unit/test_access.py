"""What of a build context this user may not read; root may read all, so it is made up here."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from roots import write

from poetry_docker_cache.ignore.access import unreadable

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_what_is_sent_and_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files and folders, unless they are kept out; what is beside them does not count."""
    places = ("app/locked.py", "app/locked/x", "app/hidden/locked", "app/.git/locked", "locked.txt")
    write(tmp_path, "app/a.py", *places)
    (tmp_path / "app" / "link").symlink_to("locked.py")
    may = os.access

    def access(path: str | Path, mode: int) -> bool:
        # What cannot be entered is no less a folder for who lists the one above it.
        return "locked" not in os.path.basename(path) and may(path, mode)  # noqa: PTH119  # a str

    monkeypatch.setattr(os, "access", access)
    assert unreadable(tmp_path, ["app"], "app/hidden\n") == ["app/locked", "app/locked.py"]
    assert unreadable(tmp_path, ["locked.txt"], "") == ["locked.txt"]
    assert unreadable(tmp_path, ["."], "*\n!app\napp/locked*\napp/hidden\n") == []
