"""Which layer a package belongs to: the same everywhere, and for as long as possible."""

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
    """Assign all packages; those that have no layer are left out of the example."""
    shared = [layer for layer in layers if layer != "source" and not layer.startswith("own-")]
    kinds = set(packages.values())
    assume("source" in layers or "source" not in kinds)
    assume(shared or kinds <= {"source"})
    assume(any(not it.startswith("pure") for it in shared) or "native" not in kinds)
    return {name: assign(name, kind, layers) for name, kind in packages.items()}


@given(PACKAGES, LAYERS, st.randoms(use_true_random=False))
def test_order_does_not_count(packages: dict[str, Kind], layers: list[str], random: object) -> None:
    """The same layers give the same assignment, however they are listed."""
    shuffled = list(layers)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis's Random
    assert assigned(packages, layers) == assigned(packages, shuffled)


@given(PACKAGES, LAYERS)
def test_kinds_stay_apart(packages: dict[str, Kind], layers: list[str]) -> None:
    """What is built is in its layer; a wheel is in its own, one of its kind, or a shared one."""
    for name, layer in assigned(packages, layers).items():
        found = packages[name]
        assert layer in layers
        assert (layer == "source") == (found == "source")
        if found != "source" and f"own-{name}" in layers:
            assert layer == f"own-{name}"
        elif found != "source":
            assert not layer.startswith("own-")
            of_kind = [it for it in layers if it.startswith(found)]
            assert layer.startswith(found) == bool(of_kind)


@given(PACKAGES, LAYERS)
def test_dropping_empty_layers_moves_nothing(packages: dict[str, Kind], layers: list[str]) -> None:
    """All at once, or each alone."""
    before = assigned(packages, layers)
    used = [layer for layer in layers if layer in before.values()]
    assert assigned(packages, used) == before
    for gone in set(layers) - set(used):
        assert assigned(packages, [layer for layer in layers if layer != gone]) == before


@given(PACKAGES, LAYERS, st.sampled_from(POSSIBLE) | OWN)
def test_a_new_layer_only_takes(packages: dict[str, Kind], layers: list[str], new: str) -> None:
    """No package moves between the layers that were there."""
    assume(new not in layers)
    before = assigned(packages, layers)
    after = assigned(packages, [*layers, new])
    assert {after[name] for name in packages if after[name] != before[name]} <= {new}


def test_packages_spread() -> None:
    """No layer gets much more than its share, and each gets some."""
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
def test_a_vendored_dockerfile_stays_true(name: str, kind: Kind, layer: str) -> None:
    """Another release of the plugin assigns as this one does: else every layer is rebuilt."""
    assert assign(name, kind, [*POSSIBLE, "source", "direct"]) == layer


@pytest.mark.parametrize(
    ("kind", "layers", "what"),
    [
        ("pure", ["source", "own-other"], "a-b: "),
        ("native", ["pure-1"], "a-b, which has compiled code: "),
        ("source", ["dependencies", "own-a-b"], "a-b, which is built from source: "),
        ("direct", ["dependencies", "source", "own-a-b"], "a-b, which comes from no index: "),
    ],
)
def test_no_layer(kind: Kind, layers: list[str], what: str) -> None:
    """The message says what is missing and what to type."""
    with pytest.raises(ValueError, match="Dockerfile") as caught:
        assign("A.B", kind, layers)
    assert str(caught.value) == (
        f"the Dockerfile has no layer for {what}it was written for another poetry.lock or other"
        " settings. Run `poetry docker export`, then build again."
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
def test_kinds(files: list[str], expected: Kind) -> None:
    """The lock's file names tell; another Python's wheels too, of what a package is made."""
    target = Target.linux("3.12", libc="glibc")
    assert kind(package("a", files=files), target) == expected


@pytest.mark.parametrize("source", ["file", "git", "url", "legacy", "directory"])
def test_kinds_and_where_packages_come_from(source: str) -> None:
    """Of what is taken from no index, neither its files nor Poetry's settings say how."""
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
def test_kinds_where_the_platforms_are_known(files: list[str], marker: str, expected: Kind) -> None:
    """What one of them wants and must build is with what is built, if it can be."""
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
def test_poetry_installs_what_pip_reads_differently(
    entry: dict[str, object], only_binary: list[str]
) -> None:
    """A marker about the kernel, or a weak hash: it is with what is built, as its wheel."""
    locked = {**package("a", files=[LINUX, sdist("a")]), **entry}
    assert kind(locked, Target.linux("3.12"), only_binary=only_binary) == "source"
    strong = {**locked, "files": [{"file": LINUX, "hash": "sha512:12"}], "marker": ""}
    assert kind(strong, Target.linux("3.12"), only_binary=only_binary) == "native"


def test_kinds_where_the_libc_is_unknown() -> None:
    """Any wheel for Linux may do."""
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
def test_kinds_and_poetrys_settings(
    no_binary: list[str], only_binary: list[str], expected: Kind
) -> None:
    """Wheels that are forbidden do not count."""
    locked = package("A_b", files=[LINUX])
    target = Target.linux("3.12", libc="glibc")
    assert kind(locked, target, no_binary=no_binary, only_binary=only_binary) == expected
