"""The paths of a build context are those that BuildKit would get."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from dockerignore import passing

from poetry_docker_cache.docker.ignore_patterns import parse
from poetry_docker_cache.no_engine.context_walk import visible_paths

if TYPE_CHECKING:
    from pathlib import Path

FILES = ["a/b/c.py", "a/b/d.txt", "a/e.py", "a/secret/key", "a/secret/public", "f.py", "x/a/e.py"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "**/*.txt",
        "a/b",
        "*\n!a",
        "*\n!a/b/c.py",
        "a/secret\n!a/secret/public",
        "a\n!a/b/*",
        "a\n!a/e.py\na/b",
        "**/a\n!x/a",
        "**/e.py\n!**/e.py\nx",
    ],
)
@pytest.mark.parametrize("place", [".", "a", "a/b", "a/e.py", "x"])
def test_same_files_as_buildkit(text: str, place: str, tmp_path: Path) -> None:
    """A line that includes again reaches into a folder that another one hides."""
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    lines = [parse(line) for line in text.split("\n")]
    within = [name for name in FILES if place == "." or f"{name}/".startswith(f"{place}/")]
    found = visible_paths(tmp_path, place, lines)
    assert {path for path in found if (tmp_path / path).is_file()} == passing(text, within)
