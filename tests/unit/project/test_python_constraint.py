"""The plugin's Python constraints give the same answers as Poetry's."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from poetry.core.constraints.version import Version, VersionRange, parse_constraint

from poetry_docker_cache.project.reader import python_constraint

MINORS = ("3.9", "3.10", "3.11", "3.12", "3.13")
VERSIONS = st.sampled_from(
    [*MINORS, "3", "4", "3.8", "3.9.0", "3.11.5", "3.12.0", "3.12.1", "3.12.4", "3.13.0rc1"]
)
PARTS = st.builds("{}{}".format, st.sampled_from(["<", "<=", ">", ">=", "==", "!=", ""]), VERSIONS)
CARETS = st.builds("{}{}".format, st.sampled_from(["^", "~", "~="]), st.sampled_from(MINORS))
CONSTRAINTS = st.lists(
    st.lists(PARTS | CARETS, min_size=1, max_size=3).map(",".join), min_size=1, max_size=3
).map(" || ".join)
TAGS = st.sampled_from([*MINORS, "3.9.0", "3.9.1", "3.12.0", "3.12.3", "3.12.4", "3.12.30"])


def is_allowed_by_poetry(constraint: str, tag: str) -> bool:
    """Ask Poetry whether it allows a version, or any patch version of a minor one."""
    allowed = parse_constraint(constraint)
    if tag.count(".") == 1:
        return allowed.allows_any(parse_constraint(f"~{tag}"))
    return allowed.allows(Version.parse(tag))


def tag_by_poetry(constraint: str, minor: str) -> str | None:
    """Choose the image tag for a minor version with Poetry's own constraints."""
    within = parse_constraint(constraint).intersect(parse_constraint(f"~{minor}"))
    if within.is_empty():
        return None
    if within.allows(Version.parse(f"{minor}.999")):
        return minor
    if isinstance(within, Version):
        return within.text
    if isinstance(within, VersionRange) and within.max is not None:
        patch = (within.max.patch or 0) - (0 if within.include_max else 1)
        tag = f"{minor}.{patch}"
        return tag if patch >= 0 and within.allows(Version.parse(tag)) else None
    return None


@given(CONSTRAINTS, TAGS)
@example(">=3.9,!=3.9.1", "3.9.1")
@example("<3.13.0rc1", "3.13")
def test_versions_are_allowed_as_poetry_allows_them(constraint: str, tag: str) -> None:
    """The versions are tags of images: patch versions and whole minor versions."""
    assert python_constraint(constraint).allows(tag) == is_allowed_by_poetry(constraint, tag)


@given(CONSTRAINTS, st.sampled_from(MINORS))
@example("<=3.12", "3.12")
@example(">=3.12.1,<3.12.4 || ==3.12.1", "3.12")
@example(">=3.12,<3.12.1 || >=3.12.3,<3.12.5", "3.12")
@example(">3.12.3,<3.12.4", "3.12")
def test_image_tags_are_those_of_poetrys_constraints(constraint: str, minor: str) -> None:
    """The tag is a minor version, or the newest patch version below an upper bound."""
    tag, expected = python_constraint(constraint).image_tag(minor), tag_by_poetry(constraint, minor)
    # A constraint to a single version may be written as 3.12 or as 3.12.0.
    assert (tag and Version.parse(tag)) == (expected and Version.parse(expected))


@pytest.mark.parametrize("text", [">=3.10", "^3.9", ">=3.9,<3.10 || ~3.12.4"])
def test_constraint_keeps_the_text_of_pyproject_toml(text: str) -> None:
    """Errors quote the constraint as the user wrote it."""
    assert python_constraint(text).text == text
