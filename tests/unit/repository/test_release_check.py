"""The trials of a release: each Python and each Poetry, and every way at both ends."""

from __future__ import annotations

import itertools

import pytest
from packaging.specifiers import SpecifierSet
from release_check import FILES, WAYS, plan_trials, poetries

from poetry_docker_cache.plan.poetry_version import NEWEST_POETRY, OLDEST_POETRY

PYTHONS = [f"3.{minor}" for minor in range(10, 16)]


@pytest.mark.parametrize("count", [1, 2, 3, 5, 6])
def test_each_python_and_each_poetry_is_tried(count: int) -> None:
    """Old ones with old ones; the oldest and the newest with each file and in each way."""
    pythons, versions = PYTHONS[:count], poetries()
    trials = plan_trials(pythons, versions)
    assert [*dict.fromkeys(trial.python for trial in trials)] == pythons
    assert [*dict.fromkeys(trial.poetry for trial in trials)] == versions
    for python, poetry in ((pythons[0], versions[0]), (pythons[-1], versions[-1])):
        ways = {(t.way, t.file) for t in trials if (t.python, t.poetry) == (python, poetry)}
        assert ways == {*itertools.product(WAYS, FILES)}
    assert len(trials) == 8 + max(count, len(versions)) - 2


def test_poetries_are_the_supported_ones() -> None:
    """Each minor version once, and the newest that users get today."""
    found = [SpecifierSet(text) for text in poetries()]
    assert found[0].contains(str(OLDEST_POETRY))
    assert not found[0].contains("2.2.0")
    assert found[-1].contains(str(NEWEST_POETRY))
    assert not any(each.contains(str(NEWEST_POETRY)) for each in found[:-1])
    assert [each.contains("2.99") for each in found] == [False] * (len(found) - 1) + [True]
