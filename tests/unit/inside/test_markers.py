"""Markers in the build: Poetry's own rules, but for what only the kernel tells."""

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
    """Decide what is left of a marker, as Poetry will."""
    return parse_marker(left).validate(environment) if isinstance(left, str) else left


@settings(max_examples=300)
@given(markers(ATOMS), ENVIRONMENTS, EXTRAS, MACHINES)
def test_markers_against_poetry(
    marker: str, environment: dict[str, str], extras: set[str], machine: dict[str, str]
) -> None:
    """What is left of a marker that Poetry wrote decides, on any machine, as the whole would."""
    locked = parse_marker(marker)
    assume(not locked.is_empty())
    whole = {**environment, **machine}
    expected = locked.validate({**whole, "extra": extras})
    assert holds(evaluate(str(locked), environment, extras), whole) == expected
    # In a build the machine is known too: only what hangs on the kernel is left.
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
def test_each_comparison_of_versions(name: str, values: list[str]) -> None:
    """All of them, not only those that chance picks: some releases come before a final one."""
    for op, value, python in itertools.product(ORDER, values, PYTHONS):
        marker, environment = f'{name} {op} "{value}"', environment_of(python)
        expected = parse_marker(marker).validate(environment)
        assert evaluate(marker, environment, set()) is expected, (marker, python)


@settings(max_examples=150)
@given(markers(PLAIN), ENVIRONMENTS, MACHINES)
def test_markers_against_packaging(
    marker: str, environment: dict[str, str], machine: dict[str, str]
) -> None:
    """Where Poetry does as PEP 508 says, so does the manifest."""
    assume("rc" not in environment["python_full_version"])  # packaging has other rules for those
    found = evaluate(marker, {**environment, **machine}, set())
    assert found is Marker(marker).evaluate({**environment, **machine})


@settings(max_examples=150)
@given(markers(comparison(["python_version", "python_full_version"], ORDER, MINORS + PATCHES[:6])))
def test_an_unknown_patch_decides_what_all_patches_agree_on(marker: str) -> None:
    """The plugin knows only the minor version: it must not drop what some patch would need."""
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
        ('platform_machine < "b"', False),  # of strings, Poetry knows no order
    ],
)
def test_what_is_left_of_a_marker(marker: str, left: bool | str) -> None:
    """Only what nobody knows yet stays."""
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
def test_a_python_before_its_release(marker: str, expected: bool) -> None:
    """Poetry orders release candidates so, surprises included."""
    environment = {"python_full_version": "3.14.0rc1", "python_version": "3.14"}
    assert parse_marker(marker).validate(environment) is expected
    assert evaluate(marker, environment, set()) is expected


@pytest.mark.parametrize(
    "marker",
    ["python_version", 'os_name == "a" and', '(os_name == "a"', 'os_name == "a")', "os_name == €"],
)
def test_no_marker(marker: str) -> None:
    """What is no marker is an error, not a decision."""
    with pytest.raises(ValueError, match="not a marker"):
        evaluate(marker, Target.linux("3.12").environment, set())
