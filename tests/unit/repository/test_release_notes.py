"""A release needs a tag, a version and a section of the changelog that agree."""

from __future__ import annotations

from datetime import date

import pytest
from release_notes import layer_problems, notes, problems

DAY = date(2027, 1, 31)
CHANGELOG = """\
# Changelog

## 1.3.0 (2027-01-31)

- Builds [faster](docs/layers.md#from-source), as [measured](https://acme.example/bench).

## 1.2.9 (2026-12-24)

- Fixes a build.
"""


def test_release_that_agrees() -> None:
    """Nothing is wrong; the notes are the section, with links that work elsewhere."""
    assert problems("v1.3.0", "1.3.0", CHANGELOG, released=DAY) == []
    assert notes(CHANGELOG, "1.2.9") == "- Fixes a build."
    assert notes(CHANGELOG, "1.3.0", link="https://git.example/blob/v1.3.0/") == (
        "- Builds [faster](https://git.example/blob/v1.3.0/docs/layers.md#from-source),"
        " as [measured](https://acme.example/bench)."
    )


@pytest.mark.parametrize(
    ("tag", "version", "changelog", "problem"),
    [
        ("v1.3.1", "1.3.0", CHANGELOG, "tag v1.3.0"),
        ("1.3.0", "1.3.0", CHANGELOG, "tag v1.3.0"),
        ("v1.4.0", "1.4.0", CHANGELOG, "`## 1.4.0 (2027-01-31)`"),
        ("v1.2.9", "1.2.9", CHANGELOG, "`## 1.2.9 (2027-01-31)`"),
        ("v1.3.0", "1.3.0", CHANGELOG.replace("2027-01-31", "unreleased"), "date unreleased"),
        ("v1.3.0", "1.3.0", CHANGELOG.replace("2027-01-31", "2027-02-01"), "date 2027-02-01"),
        ("v1.3.0", "1.3.0", "## 1.3.0 (2027-01-31)\n\n## 1.2.9 (2026-12-24)\n", "is empty"),
        ("v1.3.0rc1", "1.3.0rc1", CHANGELOG.replace("1.3.0", "1.3.0rc1"), "not a version such as"),
    ],
)
def test_release_that_disagrees(tag: str, version: str, changelog: str, problem: str) -> None:
    """One problem says what to change."""
    (found,) = problems(tag, version, changelog, released=DAY)
    assert problem in found


@pytest.mark.parametrize(("recorded", "count"), [("1.3.0", 0), ("1.2.0", 1), ("0.3.0", 1), ("", 1)])
def test_layer_keys_are_recorded_for_each_minor_version(recorded: str, count: int) -> None:
    """A patch release keeps the record of its minor version."""
    assert len(layer_problems("1.3.4", recorded)) == count
