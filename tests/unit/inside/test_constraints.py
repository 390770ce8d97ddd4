"""Tests of reading Poetry's version constraints without Poetry."""

from __future__ import annotations

import pytest
from poetry.core.constraints.version import Version as PoetryVersion
from poetry.core.constraints.version import parse_constraint
from poetry.core.packages.utils.utils import create_nested_marker
from poetry.core.version.markers import parse_marker

from poetry_docker_cache.inside.manifest.dependency_graph import allows, as_marker
from poetry_docker_cache.inside.manifest.markers import evaluate
from poetry_docker_cache.inside.manifest.target import Target

CONSTRAINTS = (
    *("*", "^1.2.3", "^1.2", "^1", "^0.2.3", "^0.0.3", "^0.0", "^0", "^1.0b2", "^1!2.0", "^v1.2"),
    *("~1.2.3", "~1.2", "~1", "~=1.4", "~=1.4.5", "1.2.*", "==1.*", "!=1.5.*", "1.2.3", "=1.2.3"),
    *(">=1.0,<2.0", ">= 1.0 , < 2.0", ">=1.0 <2.0", "<1.3 || >1.5,<2", ">1.2|<1.0", "!=1.2.3"),
    *(">=1.5.6,<1.5.7 || >1.5.7", "<2.0.dev0", ">=2.0rc1", "1.2.3+cpu", "<=1.5.7", ">=1.0,"),
)
VERSIONS = (
    *("0", "0.0.3", "0.0.4", "0.2", "0.2.9", "0.3", "1.0", "1.0b1", "1.0b2", "1.2", "1.2.3"),
    *("1.2.3+cpu", "1.2.9", "1.3", "1.4.5", "1.4.9", "1.5.6", "1.5.7", "1.5.8", "1.9", "2.0.dev1"),
    *("2.0rc1", "2.0", "2.1", "3", "1!2.5", "1!3.0"),
)


@pytest.mark.parametrize("constraint", CONSTRAINTS)
def test_constraints_match_poetry(constraint: str) -> None:
    """Each constraint allows the same versions as in Poetry."""
    parsed = parse_constraint(constraint)
    expected = {text for text in VERSIONS if parsed.allows(PoetryVersion.parse(text))}
    assert {text for text in VERSIONS if allows(constraint, text)} == expected


@pytest.mark.parametrize("constraint", ["^x1", "1.0 or so", "==1.0.0.zero"])
def test_invalid_constraint(constraint: str) -> None:
    """It raises ValueError, which the command line catches."""
    with pytest.raises(ValueError, match=r"."):
        allows(constraint, "1.0")


@pytest.mark.parametrize(
    "constraint",
    [
        *("^3.9", "~3.9", ">=3.9", ">3.9", "<3.9", "<=3.9", "3.9", "3.9.*", "!=3.9.*", "!=3.9"),
        *("^2.7 || >=3.9,<3.13", ">=3.9.2", "<3.12.4", "3.12.4", "~3.12.3", "~=3.9", "*"),
    ],
)
def test_python_constraints_match_poetry(constraint: str) -> None:
    """The key `python` of a dependency becomes the same marker as in Poetry."""
    expected = parse_marker(create_nested_marker("python_version", parse_constraint(constraint)))
    for python in ("3.8.0", "3.9.0", "3.9.1", "3.9.2", "3.12.3", "3.12.4", "3.13.0"):
        environment = Target.linux(python).environment
        marker = as_marker("python_version", constraint)
        assert evaluate(marker, environment, set()) == expected.validate(environment), python
