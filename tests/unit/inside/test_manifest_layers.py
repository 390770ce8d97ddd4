"""Tests of choosing the layer of a package: the same everywhere, and stable."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from projects import package, sdist, wheel

from poetry_docker_cache.inside.manifest.layer_choice import assign, kind
from poetry_docker_cache.inside.manifest.target import Target

if TYPE_CHECKING:
    from poetry_docker_cache.inside.manifest.layer_choice import Kind

POSSIBLE = [f"{kind}-{number}" for kind in ("pure", "native") for number in range(1, 9)]
NAMES = st.sampled_from([f"{name}-{number}" for name in ("a", "b", "zope") for number in range(20)])
OWN = NAMES.map("own-{}".format)
LAYERS = st.lists(
    st.sampled_from([*POSSIBLE, "dependencies", "source"]) | OWN, unique=True, max_size=12
)
KINDS: st.SearchStrategy[Kind] = st.sampled_from(["pure", "native", "source"])
PACKAGES = st.dictionaries(NAMES, KINDS, max_size=30)


def assigned(packages: dict[str, Kind], layers: list[str]) -> dict[str, str]:
    """Assign all packages; reject examples in which a package has no layer."""
    shared = [layer for layer in layers if layer != "source" and not layer.startswith("own-")]
    kinds = set(packages.values())
    assume("source" in layers or "source" not in kinds)
    assume(shared or kinds <= {"source"})
    assume(any(not layer.startswith("pure") for layer in shared) or "native" not in kinds)
    return {name: assign(name, kind, layers) for name, kind in packages.items()}


@given(PACKAGES, LAYERS, st.randoms(use_true_random=False))
def test_order_of_layers_does_not_matter(
    packages: dict[str, Kind], layers: list[str], random: object
) -> None:
    """The same layers in another order give the same assignment."""
    shuffled = list(layers)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis's Random
    assert assigned(packages, layers) == assigned(packages, shuffled)


@given(PACKAGES, LAYERS)
def test_kinds_are_in_separate_layers(packages: dict[str, Kind], layers: list[str]) -> None:
    """A package from source is in `source`; a wheel is in its own layer or one of its kind."""
    for name, layer in assigned(packages, layers).items():
        found = packages[name]
        assert layer in layers
        assert (layer == "source") == (found == "source")
        if found != "source" and f"own-{name}" in layers:
            assert layer == f"own-{name}"
        elif found != "source":
            assert not layer.startswith("own-")
            of_kind = [name for name in layers if name.startswith(found)]
            assert layer.startswith(found) == bool(of_kind)


@given(PACKAGES, LAYERS)
def test_removing_empty_layers_moves_no_package(
    packages: dict[str, Kind], layers: list[str]
) -> None:
    """Empty layers are removed all at once, or each alone."""
    before = assigned(packages, layers)
    used = [layer for layer in layers if layer in before.values()]
    assert assigned(packages, used) == before
    for gone in set(layers) - set(used):
        assert assigned(packages, [layer for layer in layers if layer != gone]) == before


@given(PACKAGES, LAYERS, st.sampled_from(POSSIBLE) | OWN)
def test_new_layer_only_takes_packages(
    packages: dict[str, Kind], layers: list[str], new: str
) -> None:
    """No package moves between the other layers."""
    assume(new not in layers)
    before = assigned(packages, layers)
    after = assigned(packages, [*layers, new])
    assert {after[name] for name in packages if after[name] != before[name]} <= {new}


def test_packages_are_spread_evenly() -> None:
    """No layer gets many more or fewer packages than the others."""
    layers = POSSIBLE[:8]
    counts = Counter(assign(f"package-{number}", "pure", layers) for number in range(800))
    assert set(counts) == set(layers)
    assert max(counts.values()) < 130
    assert min(counts.values()) > 70


@pytest.mark.parametrize(
    ("name", "kind", "layer"),
    [
        ("flask", "pure", "pure-8"),
        ("numpy", "native", "native-4"),
        ("Zope.Interface", "native", "native-6"),
        ("zope-interface", "native", "native-6"),
        ("uwsgi", "source", "source"),
        ("acme", "direct", "direct"),
    ],
)
def test_assignment_is_the_same_in_all_releases(name: str, kind: Kind, layer: str) -> None:
    """A change would rebuild every layer of every image."""
    assert assign(name, kind, [*POSSIBLE, "source", "direct"]) == layer


@pytest.mark.parametrize(
    ("kind", "layers", "what"),
    [
        ("pure", ["source", "own-other"], "a-b. "),
        ("native", ["pure-1"], "a-b, which has compiled code. "),
        ("source", ["dependencies", "own-a-b"], "a-b, which is built from source. "),
        (
            "direct",
            ["dependencies", "source", "own-a-b"],
            "a-b, which does not come from an index. ",
        ),
    ],
)
def test_package_without_a_layer(kind: Kind, layers: list[str], what: str) -> None:
    """The message says what is missing, and what to do."""
    with pytest.raises(ValueError, match="Dockerfile") as caught:
        assign("A.B", kind, layers)
    assert str(caught.value) == (
        f"the Dockerfile has no layer for {what}poetry.lock or the settings have changed since its"
        " export. Run `poetry docker export`, then build again."
    )


LINUX = wheel("a", tag="cp312-cp312-manylinux_2_28_x86_64")
MUSL = wheel("a", tag="cp312-abi3-musllinux_1_1_aarch64")
OLD = wheel("a", tag="cp39-cp39-linux_x86_64")
WINDOWS = wheel("a", tag="cp312-cp312-win_amd64")
MAC = wheel("a", tag="cp312-cp312-macosx_11_0_arm64")


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ([wheel("a")], "pure"),
        ([wheel("a"), sdist("a"), WINDOWS, MAC], "pure"),
        ([wheel("linux_info")], "pure"),
        ([wheel("a"), LINUX], "native"),
        ([wheel("a"), OLD], "native"),
        ([LINUX, sdist("a")], "native"),
        ([MUSL], "source"),
        ([OLD, sdist("a")], "source"),
        ([sdist("a")], "source"),
        ([], "source"),
    ],
)
def test_kind_from_file_names(files: list[str], expected: Kind) -> None:
    """Wheels for another Python also show that a package has compiled code."""
    target = Target.linux("3.12", libc="glibc")
    assert kind(package("a", files=files), target) == expected


@pytest.mark.parametrize("source", ["file", "git", "url", "legacy", "directory"])
def test_kind_from_source_type(source: str) -> None:
    """For packages without an index, files and Poetry's settings do not matter."""
    locked = package("a", source={"type": source, "url": "x"})
    target = Target.linux("3.12", libc="glibc")
    direct = source in ("file", "git", "url")
    assert kind(locked, target) == ("direct" if direct else "pure")
    assert kind(locked, target, no_binary=["a"]) == ("direct" if direct else "source")


ARM = wheel("a", tag="cp312-cp312-manylinux_2_28_aarch64")


@pytest.mark.parametrize(
    ("files", "marker", "expected"),
    [
        ([LINUX, ARM, sdist("a")], "", "native"),
        ([LINUX, sdist("a")], "", "source"),
        ([ARM, sdist("a")], "", "source"),
        ([LINUX], "", "native"),
        ([LINUX, sdist("a")], 'platform_machine == "x86_64"', "native"),
        ([LINUX, sdist("a")], 'platform_machine != "ppc64le"', "source"),
        ([wheel("a"), LINUX, sdist("a")], "", "native"),
    ],
)
def test_kind_with_known_platforms(files: list[str], marker: str, expected: Kind) -> None:
    """A package is from source if one platform wants it and must build it."""
    target = Target.linux("3.12", libc="glibc", machines=["aarch64", "x86_64"])
    assert kind({**package("a", files=files), "marker": marker}, target) == expected
    only = {"only_binary": ["a"]}
    assert kind({**package("a", files=files), "marker": marker}, target, **only) == "native"


@pytest.mark.parametrize("only_binary", [[], ["a"]])
@pytest.mark.parametrize(
    "entry",
    [
        {"marker": '"tegra" in platform_release'},
        {"marker": 'python_version > "3" and platform_version != "1"'},
        {"files": [{"file": LINUX, "hash": "md5:12"}]},
        {"files": [{"file": LINUX, "hash": "sha1:12"}, {"file": sdist("a"), "hash": "sha256:12"}]},
    ],
)
def test_poetry_installs_packages_that_pip_reads_differently(
    entry: dict[str, object], only_binary: list[str]
) -> None:
    """With a marker about the kernel, or a weak hash, a wheel is in the layer `source`."""
    locked = {**package("a", files=[LINUX, sdist("a")]), **entry}
    assert kind(locked, Target.linux("3.12"), only_binary=only_binary) == "source"
    strong = {**locked, "files": [{"file": LINUX, "hash": "sha512:12"}], "marker": ""}
    assert kind(strong, Target.linux("3.12"), only_binary=only_binary) == "native"


def test_kind_with_unknown_libc() -> None:
    """Any wheel for Linux may fit."""
    assert kind(package("a", files=[MUSL]), Target.linux("3.12")) == "native"


@pytest.mark.parametrize(
    ("no_binary", "only_binary", "expected"),
    [
        ([], [], "native"),
        (["a-b"], [], "source"),
        ([":all:"], [], "source"),
        ([":all:"], ["a-b"], "native"),
        (["a-b"], [":all:"], "source"),
        (["other"], ["other"], "native"),
    ],
)
def test_kind_with_poetrys_settings(
    no_binary: list[str], only_binary: list[str], expected: Kind
) -> None:
    """Excluded wheels are ignored."""
    locked = package("A_b", files=[LINUX])
    target = Target.linux("3.12", libc="glibc")
    assert kind(locked, target, no_binary=no_binary, only_binary=only_binary) == expected
