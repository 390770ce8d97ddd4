"""Tests of evaluating markers in the build, compared with Poetry."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import assume, given, settings
from marker_texts import (
    ATOMS,
    ENVIRONMENTS,
    EXTRAS,
    MACHINES,
    MINORS,
    ORDER,
    PATCHES,
    PLAIN,
    PYTHONS,
    comparison,
    environment_of,
    markers,
)
from packaging.markers import Marker
from poetry.core.version.markers import parse_marker

from poetry_docker_cache.inside.manifest.markers import evaluate
from poetry_docker_cache.inside.manifest.target import Target


def holds(left: bool | str, environment: dict[str, str]) -> bool:
    """Evaluate what is left of a marker, as Poetry will."""
    return parse_marker(left).validate(environment) if isinstance(left, str) else left


@settings(max_examples=300)
@given(markers(ATOMS), ENVIRONMENTS, EXTRAS, MACHINES)
def test_markers_match_poetry(
    marker: str, environment: dict[str, str], extras: set[str], machine: dict[str, str]
) -> None:
    """What is left of a marker gives the same result as the whole marker, on any machine."""
    locked = parse_marker(marker)
    assume(not locked.is_empty())
    whole = {**environment, **machine}
    expected = locked.validate({**whole, "extra": extras})
    assert holds(evaluate(str(locked), environment, extras), whole) == expected
    # In a build the machine is known too: only the kernel is undecided.
    known = {**environment, "platform_machine": machine["platform_machine"]}
    left = evaluate(str(locked), known, extras)
    assert holds(left, whole) == expected
    names = set(re.findall(r"[a-z]+_[a-z_]+", str(left)))
    assert names <= {"platform_release", "platform_version"}
    assert bool(names) == isinstance(left, str)


@pytest.mark.parametrize(
    ("name", "values"),
    [("python_version", MINORS), ("python_full_version", [*MINORS, *PATCHES, "3.14.0.rc1"])],
)
def test_version_comparisons_match_poetry(name: str, values: list[str]) -> None:
    """All combinations are tested, including pre-releases."""
    for op, value, python in itertools.product(ORDER, values, PYTHONS):
        marker, environment = f'{name} {op} "{value}"', environment_of(python)
        expected = parse_marker(marker).validate(environment)
        assert evaluate(marker, environment, set()) is expected, (marker, python)


@settings(max_examples=150)
@given(markers(PLAIN), ENVIRONMENTS, MACHINES)
def test_markers_match_packaging(
    marker: str, environment: dict[str, str], machine: dict[str, str]
) -> None:
    """Where Poetry follows PEP 508, so does this module."""
    assume("rc" not in environment["python_full_version"])  # packaging has other rules for those
    found = evaluate(marker, {**environment, **machine}, set())
    assert found is Marker(marker).evaluate({**environment, **machine})


@settings(max_examples=150)
@given(markers(comparison(["python_version", "python_full_version"], ORDER, MINORS + PATCHES[:6])))
def test_unknown_patch_version_leaves_a_marker_undecided(marker: str) -> None:
    """Only a marker with the same result for all patch versions is decided."""
    left = evaluate(marker, Target.linux("3.11").environment, set())
    for patch in ("3.11.0", "3.11.2", "3.11.7", "3.11.15"):
        environment = Target.linux(patch).environment
        again = evaluate(left, environment, set()) if isinstance(left, str) else left
        assert evaluate(marker, environment, set()) is again


@pytest.mark.parametrize(
    ("marker", "left"),
    [
        ("", True),
        ("*", True),
        (
            'platform_machine in "b, a" and os_name == "posix"',
            '(platform_machine == "a" or platform_machine == "b")',
        ),
        (
            'platform_release != "2" and (os_name == "nt" or platform_release != "1")',
            'platform_release != "1" and platform_release != "2"',
        ),
        ('os_name == "posix" or platform_release != "1"', True),
        ('os_name == "nt" and platform_release != "1"', False),
        ('"posix" == os.name and "3" < python_version', True),
        ("'tegra' in platform_release", '"tegra" in platform_release'),
        ("platform.version == '\"'", "platform_version == '\"'"),
        ('extra === "A" and python_implementation == "CPython"', True),
        ('extra == "b" or "b" in extra', False),
        ('platform_machine < "b"', False),  # Poetry does not order strings
    ],
)
def test_undecided_part_of_a_marker(marker: str, left: bool | str) -> None:
    """Only unknown variables are left."""
    assert evaluate(marker, Target.linux("3.12").environment, {"a"}) == left


@pytest.mark.parametrize(
    ("marker", "expected"),
    [
        ('python_full_version < "3.14"', True),
        ('python_full_version >= "3.14.0a6"', True),
        ('python_full_version >= "3.14.0rc2"', False),
        ('python_full_version ~= "3.14.0rc1"', True),
        ('python_full_version ~= "3.13.0rc1"', True),
        ('python_full_version ~= "3.14.0"', False),
        ('python_full_version >= "3.14"', False),
        ('python_full_version == "3.14.*"', False),
        ('python_full_version == "3.13.*"', True),
        ('python_full_version in "3.13"', True),
        ('python_version >= "3.14"', True),
    ],
)
def test_release_candidate_of_python(marker: str, expected: bool) -> None:
    """The results are those of Poetry, even the surprising ones."""
    environment = {"python_full_version": "3.14.0rc1", "python_version": "3.14"}
    assert parse_marker(marker).validate(environment) is expected
    assert evaluate(marker, environment, set()) is expected


@pytest.mark.parametrize(
    "marker",
    ["python_version", 'os_name == "a" and', '(os_name == "a"', 'os_name == "a")', "os_name == €"],
)
def test_invalid_marker(marker: str) -> None:
    """It raises ValueError."""
    with pytest.raises(ValueError, match="not a marker"):
        evaluate(marker, Target.linux("3.12").environment, set())
