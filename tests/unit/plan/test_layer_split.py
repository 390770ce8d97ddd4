"""How the dependencies of a project are split into layers."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poetry_docker_cache.plan.layer_split import AUTO, MOST, automatic, split

if TYPE_CHECKING:
    from random import Random

    from poetry_docker_cache.inside.manifest.layer_choice import Kind

    Packages = dict[str, Kind]

NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=8)
KINDS = st.sampled_from(["pure", "native", "source", "direct"])
PACKAGES = st.dictionaries(NAMES, KINDS, max_size=60)
LAYERS = st.one_of(st.just("auto"), st.integers(1, 20))


def some(pure: int, native: int = 0, source: int = 0, direct: int = 0) -> Packages:
    """Make this many packages of each kind."""
    counts: list[tuple[Kind, int]] = [("pure", pure), ("native", native), ("source", source)]
    counts.append(("direct", direct))
    return {f"{kind}{number}": kind for kind, count in counts for number in range(count)}


@given(packages=PACKAGES, layers=LAYERS, own=st.lists(NAMES, max_size=3))
def test_every_package_is_in_one_layer(
    packages: Packages, layers: int | Literal["auto"], own: list[str]
) -> None:
    """No package is lost or doubled, no layer is empty, and the number of layers is kept."""
    own = [*own, *list(packages)[:2]]
    found = split(packages.items(), layers=layers, own=own)
    assert sorted(name for names in found.values() for name in names) == sorted(packages)
    assert all(found.values())
    apart = ("source", "direct")
    shared = [name for name in found if name not in apart and not name.startswith("own-")]
    assert len(shared) <= (MOST if layers == "auto" else layers)
    for layer, names in found.items():
        kinds = {packages[name] for name in names}
        if layer.startswith(("pure-", "native-")):
            assert kinds == {layer.partition("-")[0]}
        elif layer.startswith("own-"):
            assert names == (layer.removeprefix("own-"),)
            assert kinds.isdisjoint(apart)
        else:
            assert kinds.isdisjoint(apart) if layer not in apart else kinds == {layer}


@given(packages=PACKAGES, layers=LAYERS, shuffled=st.randoms())
def test_order_of_lock_file_does_not_matter(
    packages: Packages, layers: int | Literal["auto"], shuffled: Random
) -> None:
    """The same packages give the same layers, in the same order."""
    listed = list(packages.items())
    shuffled.shuffle(listed)
    assert list(split(listed, layers=layers).items()) == list(
        split(packages.items(), layers=layers).items()
    )


@given(packages=PACKAGES, layers=st.integers(1, 20))
def test_new_package_moves_no_other(packages: Packages, layers: int) -> None:
    """The exception is the first of its kind, which gives that kind its share of the layers."""
    before = split(packages.items(), layers=layers)
    for kind in set(packages.values()):
        after = split([*packages.items(), ("new-one", kind)], layers=layers)
        for layer, names in before.items():
            assert set(names) <= set(after[layer])


def test_additional_layer_moves_few_packages() -> None:
    """Only the packages of the new layer move."""
    packages = some(pure=200)
    before = split(packages.items(), layers=8)
    after = split(packages.items(), layers=9)
    moved = sum(len(set(names) - set(after[layer])) for layer, names in before.items())
    assert moved == len(after["pure-9"])
    assert 10 < moved < 40


@pytest.mark.parametrize(
    ("packages", "layers"), [(0, 1), (1, 1), (5, 1), (6, 4), (15, 4), (16, 10), (50, 10), (51, 16)]
)
def test_automatic_number_of_layers(packages: int, layers: int) -> None:
    """The limits are those of docs/layers.md, and far apart."""
    assert automatic(packages) == layers
    bounds = [most for most, _ in AUTO]
    assert all(upper >= 3 * lower for lower, upper in pairwise(bounds))


def test_pure_and_native_packages_share_layers() -> None:
    """Each kind gets half of them; a single layer takes both kinds."""
    both = split(some(pure=60, native=60).items(), layers=8)
    assert list(both) == [f"{kind}-{n}" for kind in ("pure", "native") for n in range(1, 5)]
    assert len(split(some(pure=60).items(), layers=8)) == 8
    assert list(split(some(pure=3, native=3).items(), layers=1)) == ["dependencies"]


def test_separate_layers_come_after_shared_ones() -> None:
    """They hold packages with a layer of their own, packages to build, and direct dependencies."""
    packages = some(pure=2, native=1, source=2, direct=2)
    own = ("native0", "source0", "direct0", "not-there")
    found = split(packages.items(), layers=1, own=own)
    assert list(found) == ["dependencies", "own-native0", "source", "direct"]
    assert found == {
        "dependencies": ("pure0", "pure1"),
        "own-native0": ("native0",),
        "source": ("source0", "source1"),
        "direct": ("direct0", "direct1"),
    }
