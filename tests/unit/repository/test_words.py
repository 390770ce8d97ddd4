"""The list of words that the project does not use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import words

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Nobody reads it.", "Nobody"),
        ("def test_somebody_else_builds() -> None:", "somebody"),
        ("a stale lock is\n    # told to the user", "is told"),
        ("It is no UTF-8 text.", "is no UTF-8"),
        ("names = [it for it in parts]", "for it in"),
    ],
)
def test_word_is_found_in_prose_names_and_wrapped_comments(text: str, found: str) -> None:
    """The phrase is printed as on one line."""
    assert words.find_words("a.py", text) == [("a.py", 1, found)]


@pytest.mark.parametrize(
    "text", ["amendment", "There is no image.", "for item in items", "is nonetheless", "is None"]
)
def test_similar_word_is_accepted(text: str) -> None:
    """Only whole words are found."""
    assert words.find_words("a.py", text) == []


def test_hits_come_in_the_order_of_the_text() -> None:
    """Each hit has its line number."""
    hits = words.find_words("a.md", "one\nIt is no JSON.\nA seldom word.\n")
    assert [str(hit) for hit in hits] == ["a.md:2: is no JSON", "a.md:3: seldom"]


def test_released_part_of_changelog_is_left_alone() -> None:
    """The first version in it is not released yet."""
    text = "# Changelog\n\n## 2.0 (unreleased)\n\n- new\n\n## 1.0\n\n- seldom\n"
    assert words.read_unreleased(text).endswith("- new\n\n")
    assert words.read_unreleased("## 1.0\n\n- seldom\n").endswith("seldom\n")


def test_command_prints_places_and_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Pictures are skipped."""
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "picture.png").write_bytes(b"\x89PNG\xff seldom")
    assert words.main(tmp_path, ["docs"]) == 0
    (docs / "page.md").write_text("First line.\nIt is seldom right.\n", encoding="utf-8")
    assert words.main(tmp_path, ["docs"]) == 1
    assert capsys.readouterr().out == "docs/page.md:2: seldom\n"
