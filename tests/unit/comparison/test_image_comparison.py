"""Which layers are rebuilt, and why."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from poetry_docker_cache.comparison.image_comparison import Comparison, Reason, compare
from poetry_docker_cache.docker.image_labels import ImageContents, LayerContents

AMD, ARM = "linux/amd64", "linux/arm64"
BASE = "python:3.13-slim"


def layer(name: str, digest: str, *packages: str) -> LayerContents:
    """Make a layer; a package is `name==version`."""
    return LayerContents(
        name=name,
        digest=digest,
        packages={each.partition("==")[0]: each.partition("==")[2] for each in packages},
    )


NATIVE = layer("native-1", "n", "numpy==2.0", "pandas==2.2")
HTTPX = layer("pure-1", "h", "httpx==0.27.2")
IDNA = layer("pure-2", "i", "idna==3.10")


def contents(*layers: LayerContents, **facts: Any) -> ImageContents:  # noqa: ANN401  # any
    """Return the contents of an image for one platform."""
    usual: dict[str, Any] = {
        "plugin": "0.1.0",
        "python": "3.13",
        "base": BASE,
        "settings": "s",
        "layers": {AMD: layers},
    }
    return ImageContents(**usual | facts)


BEFORE = contents(NATIVE, HTTPX, IDNA)


def states(comparison: Comparison) -> dict[str, str]:
    """Return the state of each layer, with its causes."""
    return {change.name: " ".join([change.state, *change.causes]) for change in comparison.layers}


def texts(comparison: Comparison) -> list[str]:
    """Return the changes of packages in words, with their layers."""
    return [f"{change.layer}: {change.text}" for change in comparison.packages]


def test_same_contents_keep_everything() -> None:
    """There is nothing to say."""
    found = compare(BEFORE, BEFORE)
    assert states(found) == {"native-1": "kept", "pure-1": "kept", "pure-2": "kept"}
    assert (found.packages, found.reasons, found.to_build) == ((), (), ())


def test_upgrade_rebuilds_only_its_layer() -> None:
    """A package that comes with it is in the same layer or in another one."""
    after = contents(
        NATIVE,
        layer("pure-1", "h2", "httpx==0.28.1", "sniffio==1.3.1"),
        layer("pure-2", "i2", "certifi==2026.1"),
    )
    found = compare(BEFORE, after)
    assert states(found) == {
        "native-1": "kept",
        "pure-1": "rebuilt packages",
        "pure-2": "rebuilt packages",
    }
    assert texts(found) == [
        "pure-1: httpx 0.27.2 → 0.28.1",
        "pure-1: sniffio 1.3.1 added",
        "pure-2: certifi 2026.1 added",
        "pure-2: idna 3.10 removed",
    ]


def test_moved_package_rebuilds_both_layers() -> None:
    """With another split of layers, a package may move without a new version."""
    after = contents(
        NATIVE, layer("pure-1", "h2"), layer("pure-2", "i2", "httpx==0.27.2", "idna==3.10")
    )
    found = compare(BEFORE, after)
    assert states(found)["pure-1"] == states(found)["pure-2"] == "rebuilt packages"
    assert texts(found) == ["pure-2: httpx 0.27.2 (from pure-1)"]


def test_layers_come_and_go() -> None:
    """A new layer is built, and one that is gone is named."""
    after = contents(NATIVE, HTTPX, layer("own-idna", "o", "idna==3.10"))
    found = compare(BEFORE, after)
    assert states(found) == {
        "native-1": "kept",
        "pure-1": "kept",
        "own-idna": "added",
        "pure-2": "removed",
    }
    assert [change.name for change in found.to_build] == ["own-idna"]
    assert texts(found) == ["own-idna: idna 3.10 (from pure-2)"]


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"base": "python:3.13"}, Reason(cause="base image", old=BASE, new="python:3.13")),
        ({"python": "3.14"}, Reason(cause="Python", old="3.13", new="3.14")),
        ({"plugin": "0.2.0"}, Reason(cause="plugin", old="0.1.0", new="0.2.0")),
    ],
)
def test_base_python_and_plugin_rebuild_all_layers(facts: dict[str, str], reason: Reason) -> None:
    """The digests of the layers may be the same."""
    found = compare(BEFORE, replace(BEFORE, **facts))  # type: ignore[arg-type]
    assert found.reasons == (reason,)
    assert {*states(found).values()} == {f"rebuilt {reason.cause}"}


def test_newer_base_image_rebuilds_everything() -> None:
    """Its name is the same."""
    found = compare(BEFORE, BEFORE, base_digests=("sha256:a", "sha256:b"))
    assert {*states(found).values()} == {"rebuilt base digest"}
    same = compare(BEFORE, BEFORE, base_digests=("sha256:a", "sha256:a"))
    assert {*states(same).values()} == {"kept"}


def test_settings_rebuild_what_depends_on_them() -> None:
    """The digest of a layer decides: most settings change no layer of dependencies."""
    found = compare(BEFORE, replace(BEFORE, settings="other"))
    assert [reason.cause for reason in found.reasons] == ["settings"]
    assert {*states(found).values()} == {"kept"}
    after = contents(NATIVE, HTTPX, replace(IDNA, digest="i2"), settings="other")
    assert states(compare(BEFORE, after))["pure-2"] == "rebuilt installation"


def test_other_files_of_same_packages() -> None:
    """A lock file may get other hashes or sources without another version."""
    after = contents(NATIVE, HTTPX, replace(IDNA, digest="i2"))
    found = compare(BEFORE, after)
    assert states(found) == {"native-1": "kept", "pure-1": "kept", "pure-2": "rebuilt installation"}
    assert found.packages == ()


def test_platforms_may_differ() -> None:
    """What applies to some platforms names them."""
    extra = layer("native-1", "x", "numpy==2.0", "pandas==2.2", "uvloop==0.21")
    before = contents(layers={AMD: (NATIVE, IDNA), ARM: (NATIVE, IDNA)})
    after = contents(layers={AMD: (extra, IDNA), ARM: (NATIVE, IDNA)})
    found = compare(before, after)
    assert texts(found) == ["native-1: uvloop 0.21 added (on linux/amd64)"]
    assert [(each.name, each.state, each.platforms) for each in found.layers] == [
        ("native-1", "rebuilt", (AMD,)),
        ("pure-2", "kept", ()),
        ("native-1", "kept", (ARM,)),
    ]
    other = compare(contents(layers={AMD: (IDNA,)}), contents(layers={ARM: (IDNA,), AMD: (IDNA,)}))
    assert (other.platforms, other.new_platforms, other.old_platforms) == ((AMD,), (ARM,), ())


def test_bytes_come_from_layers_before() -> None:
    """They are unknown if any is."""
    after = contents(NATIVE, replace(HTTPX, digest="h2"), layer("pure-2", "i2", "idna==3.11"))
    sizes = {AMD: {"native-1": 60_000_000, "pure-1": 300_000, "pure-2": 100_000}}
    found = compare(BEFORE, after, sizes=sizes)
    assert (found.kept_bytes, found.old_bytes) == (60_000_000, 400_000)
    assert compare(BEFORE, after, sizes={AMD: {"pure-1": 1}}).old_bytes is None
