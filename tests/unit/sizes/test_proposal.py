"""The search for a better split, with random packages and those of real projects."""

from __future__ import annotations

import random
import string
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from size_tables import DATA, DJANGO, WEB_API, sized

from poetry_docker_cache.sizes.package_sizes import SizedPackage
from poetry_docker_cache.sizes.proposal import (
    MOST_LAYERS,
    SMALL_GAIN,
    Setting,
    outcome,
    propose,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

AUTO = Setting(layers="auto")
WHEELS = ("pure", "native")


def packages() -> st.SearchStrategy[list[SizedPackage]]:
    """Generate packages, the largest first, as `settle` returns them."""
    package = st.builds(
        SizedPackage,
        name=st.text(string.ascii_lowercase, min_size=1, max_size=4),
        version=st.just("1.0"),
        kind=st.sampled_from(["pure", "native", "source", "direct"]),
        size=st.integers(0, 10**9),
        origin=st.just("index"),
        family=st.sampled_from(["", "", "api", "api.worker"]),
    )
    listed = st.lists(package, min_size=1, max_size=40, unique_by=lambda each: each.name)
    return listed.map(lambda them: sorted(them, key=lambda each: (-each.size, each.name)))


def present() -> st.SearchStrategy[Setting]:
    """Generate settings, including some that are never proposed."""
    layers = st.one_of(st.just("auto"), st.integers(1, 48))
    names = st.lists(st.text("abc", min_size=1, max_size=2), max_size=6, unique=True)
    return st.builds(Setting, layers=layers, own=names.map(tuple))


@settings(max_examples=60)
@given(packages(), present())
def test_proposal_is_better_and_within_limits(
    packages: list[SizedPackage], setting: Setting
) -> None:
    """Each package is in one layer, and the result is repeatable."""
    now = outcome(packages, setting)
    better = propose(packages, now)
    shuffled = list(packages)
    random.Random(1).shuffle(shuffled)
    assert propose(shuffled, outcome(shuffled, setting)) == better
    for found in (now, better or now):
        placed = [package for inside in found.layers.values() for package in inside]
        assert len(placed) == len(packages)
        assert {*placed} == {*packages}
        assert all(found.layers.values())
    if better is None:
        return
    assert now.cost - better.cost >= SMALL_GAIN
    assert len(better.layers) <= MOST_LAYERS
    assert propose(packages, better) is None  # nothing is better than the proposal
    by_name = {package.name: package for package in packages}
    assert all(by_name[name].kind in WHEELS for name in better.setting.own)
    smallest = min((by_name[name].size for name in better.setting.own), default=0)
    others = [
        each for each in packages if each.kind in WHEELS and each.name not in better.setting.own
    ]
    assert not better.setting.own or all(each.size <= smallest for each in others)


@settings(max_examples=60)
@given(packages(), present())
def test_cost_is_the_average_over_all_updates(
    packages: list[SizedPackage], setting: Setting
) -> None:
    """The test counts package by package."""
    found = outcome(packages, setting)
    layers = [found.layers[found.layer_of(package)] for package in packages]
    count = sum(map(len, layers)) / len(packages)
    size = sum(each.size for layer in layers for each in layer) / len(packages)
    assert found.packages == pytest.approx(count)
    assert found.size == pytest.approx(size)
    assert found.packages_share == pytest.approx(count / len(packages))
    assert found.size_share == pytest.approx(size / max(1, sum(each.size for each in packages)))


@pytest.mark.parametrize(
    ("table", "count"), [(WEB_API, 30), (DATA, 77), (DJANGO, 42)], ids=["api", "data", "django"]
)
@pytest.mark.parametrize("setting", [AUTO, Setting(layers=1)], ids=["auto", "one"])
def test_proposals_for_real_projects(table: dict[str, str], count: int, setting: Setting) -> None:
    """An average update costs at most 15 % of the packages and 10 % of the bytes."""
    packages = sized(table)
    assert len(packages) == count
    better = propose(packages, outcome(packages, setting))
    assert better is not None
    assert better.packages_share <= 0.15
    assert better.size_share <= 0.10
    assert len(better.layers) <= MOST_LAYERS


def test_names_do_not_decide() -> None:
    """A web API with renamed packages gets a similar result."""
    words = random.Random(7)
    for _ in range(20):
        packages = _renamed(sized(WEB_API), words)
        now = outcome(packages, AUTO)
        found = propose(packages, now) or now
        assert found.packages_share <= 0.15
        assert found.size_share <= 0.10


def _renamed(packages: Sequence[SizedPackage], words: random.Random) -> list[SizedPackage]:
    return [
        replace(each, name="".join(words.choices(string.ascii_lowercase, k=8))) for each in packages
    ]


def test_small_improvement_is_not_proposed() -> None:
    """Slightly different sizes do not change a proposal that the project uses."""
    packages = sized(WEB_API)
    better = propose(packages, outcome(packages, AUTO))
    assert better is not None
    grown = [
        replace(package, size=package.size * (100 + number % 5) // 100)
        for number, package in enumerate(packages)
    ]
    assert propose(grown, outcome(grown, better.setting)) is None


@pytest.mark.parametrize(("count", "most"), [(3, 1), (5, 2), (10, 6), (20, 13)])
def test_small_project_keeps_shared_layers(count: int, most: int) -> None:
    """More layers would save no time, because each starts an installer."""
    packages = sorted(sized(DATA), key=lambda each: -each.size)[:: 77 // count][:count]
    now = outcome(packages, AUTO)
    assert len((propose(packages, now) or now).layers) <= most


def test_packages_of_the_same_images_are_split_together() -> None:
    """Packages built from source are one layer per image."""
    one = SizedPackage(name="a", version="1.0", kind="pure", size=1, origin="index")
    listed = [
        one,
        replace(one, version="2.0", family="api"),
        replace(one, name="b", family="api"),
        replace(one, name="c", kind="source"),
        replace(one, name="d", kind="source", family="api"),
    ]
    found = outcome(listed, Setting(layers=1, own=("b",)))
    names = {layer: [each.name for each in inside] for layer, inside in found.layers.items()}
    assert names == {
        "dependencies": ["a"],
        "source": ["c", "d"],
        "dependencies.api": ["a"],
        "own-b.api": ["b"],
    }
    assert [found.layer_of(each) for each in listed[:2]] == ["dependencies", "dependencies.api"]


def test_no_proposal_if_there_are_more_images_than_layers() -> None:
    """No setting is within the limit."""
    one = SizedPackage(name="a", version="1.0", kind="pure", size=1, origin="index")
    listed = [
        replace(one, name=f"a{number}", family=f"x{number}") for number in range(MOST_LAYERS + 1)
    ]
    assert propose(listed, outcome(listed, AUTO)) is None


def test_one_package_is_not_split() -> None:
    """There is nothing to gain, and nothing is divided by zero."""
    alone = [replace(sized(WEB_API)[0], size=0)]
    assert propose(alone, outcome(alone, AUTO)) is None
