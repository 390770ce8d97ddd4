"""Files that BuildKit cannot send as they are.

Tests may run as root, who can read every file: missing permissions are simulated.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from roots import write

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.project.context_files import ProblemPath, matching_files, problem_paths

if TYPE_CHECKING:
    from pathlib import Path


def test_patterns_are_replaced_by_paths(tmp_path: Path) -> None:
    """Without what the ignore file excludes or no build gets; a literal path stays as it is."""
    write(tmp_path, "conf/b.ini", "conf/a.ini", "conf/local.ini", "conf/x.key", "a/b/c.mo", "[x]")
    ignore = "conf/local.ini\n"
    assert matching_files(tmp_path, ("conf/*", "[x]", "none"), ignore) == (
        "conf/a.ini",
        "conf/b.ini",
        "[x]",
        "none",
    )
    assert matching_files(tmp_path, ("**/*.mo",), None) == ("a/b/c.mo",)
    assert matching_files(tmp_path, None, None) is None
    with pytest.raises(DockerCacheError, match=r"pattern 'conf/\*.key', which matches no file"):
        matching_files(tmp_path, ("conf/*.key",), None)


def test_unreadable_paths_that_are_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files and folders count unless the ignore file excludes them."""
    places = ("app/locked.py", "app/locked/x", "app/hidden/locked", "app/.git/locked", "locked.txt")
    write(tmp_path, "app/a.py", *places)
    (tmp_path / "app" / "link").symlink_to("locked.py")
    may = os.access

    def access(path: str | Path, mode: int) -> bool:
        return "locked" not in os.path.basename(path) and may(path, mode)  # noqa: PTH119  # a str

    def unreadable(name: str, ignore: str) -> list[str]:
        return [
            odd.path for odd in problem_paths(tmp_path, [name], ignore) if odd.kind == "unreadable"
        ]

    monkeypatch.setattr(os, "access", access)
    assert unreadable("app", "app/hidden\n") == ["app/locked", "app/locked.py"]
    assert unreadable("locked.txt", "") == ["locked.txt"]
    assert unreadable(".", "*\n!app\napp/locked*\napp/hidden\n") == []


def test_links_that_leave_the_context(tmp_path: Path) -> None:
    """Links inside it do not count, and no link is followed."""
    write(tmp_path, "shop/a/b.py", "outside/x.py")
    for name, target in {
        "in": "a",
        "gone": "b",
        "loop": ".",
        "out": "../outside",
        "abs": "/etc",
    }.items():
        (tmp_path / "shop" / name).symlink_to(target)
    found = problem_paths(tmp_path / "shop", ["."], "gone\n")
    assert found == [ProblemPath(path=name, kind="link") for name in ("abs", "out")]
    assert problem_paths(tmp_path / "shop", ["a", "nowhere"], "") == []


def test_names_that_are_not_utf_8(tmp_path: Path) -> None:
    """Old archives contain them."""
    write(tmp_path, "app/\udce9t\udce9.txt", "app/\xe9t\xe9.txt", "app/old/\udce9")
    found = problem_paths(tmp_path, ["app"], "app/old\n")
    assert found == [ProblemPath(path="app/\udce9t\udce9.txt", kind="name")]


def test_folder_removed_meanwhile_is_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A running program may remove it."""
    (tmp_path / "shop" / "cache").mkdir(parents=True)

    def scandir(path: Path) -> object:
        if path.name == "cache":
            path.rmdir()
        return real(path)

    real = os.scandir
    monkeypatch.setattr(os, "scandir", scandir)
    assert problem_paths(tmp_path, ["shop"], "") == []
    assert not (tmp_path / "shop" / "cache").exists()
