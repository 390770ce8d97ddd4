"""The output of a comparison: lines, Markdown and JSON."""

from __future__ import annotations

from dataclasses import replace

from poetry_docker_cache.comparison.comparison_output import (
    Against,
    Result,
    as_data,
    lines,
    markdown,
)
from poetry_docker_cache.comparison.image_comparison import Comparison, LayerChange, Reason
from poetry_docker_cache.comparison.package_changes import PackageChange

AMD, ARM = "linux/amd64", "linux/arm64"
IMAGE = Against(
    kind="image", name="registry.test/shop:1", digest=f"sha256:{'0123456789abcdef' * 4}"
)
COMPARISON = Comparison(
    packages=(
        PackageChange(name="numpy", old="2.0", new="2.1", layer="native-1", platforms=(ARM,)),
        PackageChange(name="httpx", old="0.27.2", new="0.28.1", layer="pure-3"),
        PackageChange(name="sniffio", old=None, new="1.3.1", layer="pure-3"),
        PackageChange(name="idna", old="3.10", new="3.10", layer="pure-4", old_layer="pure-5"),
    ),
    layers=(
        LayerChange(
            name="native-1",
            state="rebuilt",
            causes=("packages",),
            packages=("numpy",),
            size=900_000,
            platforms=(ARM,),
        ),
        LayerChange(name="native-1", state="kept", size=60_000_000, platforms=(AMD,)),
        LayerChange(
            name="pure-3",
            state="rebuilt",
            causes=("packages",),
            packages=("httpx", "sniffio"),
            size=300_000,
        ),
        LayerChange(name="pure-4", state="added", packages=("idna",)),
        LayerChange(name="pure-5", state="removed", packages=("idna",), size=100_000),
    ),
    reasons=(Reason(cause="settings", old="a", new="b"),),
    platforms=(AMD, ARM),
)
NOTHING = Comparison(
    packages=(),
    layers=(LayerChange(name="pure-1", state="kept"), LayerChange(name="pure-2", state="kept")),
    reasons=(),
    platforms=(AMD,),
)


def result(comparison: Comparison, against: Against = IMAGE) -> Result:
    """Return the result for the only image of a project."""
    return Result(image="", title="shop", against=against, comparison=comparison)


def shown(*given: Comparison, against: Against = IMAGE) -> list[str]:
    """Return the lines as printed."""
    return [f"{title}{text}" for each in given for title, text in lines(result(each, against))]


def test_lines_name_packages_layers_and_bytes() -> None:
    """Each layer has one line with its packages."""
    assert shown(COMPARISON) == [
        "Against  registry.test/shop:1 (sha256:0123456789ab)",
        "Change   numpy 2.0 → 2.1 (on linux/arm64): layer native-1",
        "Change   httpx 0.27.2 → 0.28.1, sniffio 1.3.1 added: layer pure-3",
        "Change   idna 3.10 (from pure-5): layer pure-4",
        "Change   settings, or other content of the Dockerfile",
        "Layers   3 of 3 dependency layers to rebuild",
        "Rebuild  native-1 (on linux/arm64), pure-3: other packages",
        "New      pure-4",
        "Remove   pure-5",
        "Push     about 1.2 MB (as before) and 1 new layer of unknown size; 60.0 MB kept",
    ]


def test_lines_without_changes() -> None:
    """Sizes are unknown for a revision."""
    commit = "0123456789abcdef" * 2
    revision = Against(kind="revision", name="main", digest=commit)
    assert shown(NOTHING, against=revision) == [
        "Against  main (0123456789ab)",
        "Layers   2 dependency layers, nothing to rebuild",
    ]
    same = Against(kind="revision", name=commit[:7], digest=commit)
    assert shown(NOTHING, against=same)[0] == "Against  commit 0123456789ab"


def test_all_layers_are_not_listed() -> None:
    """A new base image rebuilds everything."""
    layers = tuple(
        replace(layer, state="rebuilt", causes=("base image", "Python")) for layer in NOTHING.layers
    )
    assert shown(replace(NOTHING, layers=layers))[-1] == (
        "Rebuild  all layers: another base image, another Python"
    )


def test_markdown_is_a_table() -> None:
    """It fits a comment on a pull request."""
    assert (
        markdown(result(COMPARISON))
        == """\
### shop: 3 of 3 dependency layers to rebuild

Compared with `registry.test/shop:1 (sha256:0123456789ab)`.

| package | before | now | layer |
| --- | --- | --- | --- |
| numpy | 2.0 | 2.1 | native-1 (on linux/arm64) |
| httpx | 0.27.2 | 0.28.1 | pure-3 |
| sniffio |  | 1.3.1 | pure-3 |
| idna | 3.10 | 3.10 | pure-4 (from pure-5) |

- settings, or other content of the Dockerfile
- Rebuilt because of other packages: native-1 (on linux/arm64), pure-3
- New: pure-4
- Removed: pure-5
- To push: about 1.2 MB (as before) and 1 new layer of unknown size; 60.0 MB kept
"""
    )
    assert "|" not in markdown(result(NOTHING))


def test_markdown_shows_foreign_text_as_text() -> None:
    """The label of an image may contain anything."""
    evil = PackageChange(
        name="<img src=x>", old="1|2", new="@team", layer="[a](https://b.test)`", old_layer="c"
    )
    comparison = Comparison(packages=(evil,), layers=(), reasons=(), platforms=(AMD,))
    row = markdown(result(comparison)).splitlines()[6]
    assert row == "| ?img src?x? | 1?2 | ?team | ?a?(https://b.test)? (from c) |"


def test_data() -> None:
    """Every value is documented; platforms are always listed."""
    data = as_data(result(COMPARISON))
    assert data["against"] == {"kind": "image", "name": IMAGE.name, "digest": IMAGE.digest}
    assert data["packages"][0]["platforms"] == [ARM]
    assert data["packages"][2] == {
        "name": "sniffio",
        "old": None,
        "new": "1.3.1",
        "layer": "pure-3",
        "old-layer": None,
        "platforms": [AMD, ARM],
    }
    assert data["packages"][3]["old-layer"] == "pure-5"
    assert data["layers"][2] == {
        "name": "pure-3",
        "state": "rebuilt",
        "causes": ["packages"],
        "packages": ["httpx", "sniffio"],
        "old-bytes": 300_000,
        "platforms": [AMD, ARM],
    }
    assert data["reasons"] == [{"cause": "settings", "old": "a", "new": "b"}]
    assert data["bytes"] == {"kept": 60_000_000, "rebuilt": 1_200_000}
