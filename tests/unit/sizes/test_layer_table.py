"""The output of `poetry docker layers`."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from size_tables import DATA, DJANGO, WEB_API, sized

from poetry_docker_cache.sizes.layer_table import as_ascii, as_data, table, values
from poetry_docker_cache.sizes.package_sizes import SizedPackage, settle
from poetry_docker_cache.sizes.proposal import Outcome, Setting, outcome, propose
from poetry_docker_cache.text import megabytes

AUTO = Setting(layers="auto")


def shown(packages: list[SizedPackage]) -> tuple[list[SizedPackage], Outcome, Outcome | None]:
    """Return the packages in the order of the table, the current split, and the proposed one."""
    packages = sorted(packages, key=lambda each: -each.size)
    now = outcome(packages, AUTO)
    return packages, now, propose(packages, now)


def small() -> list[SizedPackage]:
    """Make packages with an exact size, a converted one, and an unknown one."""
    one = SizedPackage(
        name="numpy", version="2.0", kind="native", size=8_000_000, origin="environment"
    )
    return [
        one,
        replace(one, name="markupsafe", size=1_000_000, origin="index", exact=False),
        replace(one, name="jinja2", kind="pure", size=135_000, origin=None),
        replace(one, name="a-name-that-is-longer-than-any-other", kind="pure", size=4_000),
    ]


def test_whole_table() -> None:
    """No better setting is proposed."""
    packages = small()
    lines = table(packages, "installed", outcome(packages, Setting(layers=1)), None)
    assert (
        "\n".join(lines)
        == """\
 4 packages, ≈ 9.1 MB installed (sizes from the environment and the index)
                                                                  now
 numpy                           8.0 MB  ███████████████████████  dependencies
 markupsafe                    ≈ 1.0 MB  ██▉                      dependencies
 jinja2                               ?                           dependencies
 a-name-that-is-longer-than-…    4.0 kB  ▏                        dependencies

 average cost of one update                  packages              size  layers
 now     layers = 1                  4.0 of 4 (100 %)    9.1 MB (100 %)       1"""
    )


def test_better_setting_is_shown_beside() -> None:
    """Only packages that move have a second layer; the settings come last."""
    packages, now, better = shown(sized(WEB_API))
    assert better is not None
    lines = table(packages, "download", now, better)
    assert lines[0] == " 30 packages, 42.6 MB to download (sizes from the index)"
    for package, line in zip(packages, lines[2:], strict=False):
        then = better.layer_of(package)
        moved = [then] if then != now.layer_of(package) else []
        assert line.split()[4:] == [now.layer_of(package), *moved]
    end = lines[lines.index("", 34) :]
    assert end[1] == f" layers = {better.setting.layers}"
    assert json.loads(" ".join(end[2:]).partition("=")[2]) == list(better.setting.own)


def test_only_existing_layers_are_counted() -> None:
    """A setting may name packages that the image does not have."""
    packages = sized(WEB_API)
    now = outcome(packages, Setting(layers="auto", own=("numpy", "ruff")))
    lines = table(packages, "download", now, None)
    assert any('layers = "auto" + 1 own' in line for line in lines)


@pytest.mark.parametrize("packages", [sized(WEB_API), sized(DATA), sized(DJANGO), small()])
def test_table_fits_a_terminal(packages: list[SizedPackage]) -> None:
    """Lines have at most 80 columns and no trailing blanks, and can be converted to ASCII."""
    listed, now, better = shown(packages)
    for line in table(listed, "download", now, better):
        assert len(line) <= 80
        assert line == line.rstrip()
        assert as_ascii(line).isascii()
        assert len(as_ascii(line)) == len(line)


def test_table_uses_the_width_of_the_terminal() -> None:
    """Names and bars are longer on a wide terminal, and all lines fit."""
    listed, now, better = shown(sized(WEB_API))
    tables = [table(listed, "download", now, better, width=width) for width in (80, 120, 160)]
    for width, lines in zip((80, 120, 160), tables, strict=True):
        assert max(map(len, lines)) <= width
    longest = [max(line.count("█") for line in lines) for lines in tables]
    assert longest == sorted(set(longest)), longest
    packages = small()
    wide = table(packages, "installed", outcome(packages, AUTO), None, width=120)
    assert "a-name-that-is-longer-than-any-other" in "".join(wide)


def test_packages_without_bytes() -> None:
    """Nothing is divided by zero."""
    packages = [replace(package, size=0) for package in small()]
    assert " 0.0 kB " in table(packages, "installed", outcome(packages, AUTO), None)[0]


def test_data_have_the_documented_keys() -> None:
    """docs/layers.md lists them."""
    packages, now, better = shown(small() + sized(WEB_API)[:4])
    assert better is not None
    data = as_data(packages, "installed", now, better)
    assert json.loads(json.dumps(data)) == data
    assert sorted(data) == ["better", "now", "packages", "unit"]
    by_name = {package["name"]: package for package in data["packages"]}
    assert by_name["markupsafe"] == {
        "name": "markupsafe",
        "version": "2.0",
        "kind": "native",
        "bytes": 1_000_000,
        "from": "index",
        "exact": False,
        "layer": now.layer_of(next(each for each in packages if each.name == "markupsafe")),
    }
    assert (by_name["jinja2"]["from"], by_name["jinja2"]["exact"]) == (None, False)
    assert data["now"]["layers"] == "auto"
    for found, side in ((now, data["now"]), (better, data["better"])):
        assert side["own-layers"] == list(found.setting.own)
        assert side["split"] == {
            name: [each.name for each in them] for name, them in found.layers.items()
        }
        assert side["bump"]["packages"] == pytest.approx(found.packages, abs=0.001)
        assert side["bump"]["packages-share"] == pytest.approx(found.packages_share, abs=0.0001)
        assert side["bump"]["bytes"] == pytest.approx(found.size, abs=1)
        assert side["bump"]["bytes-share"] == pytest.approx(found.size_share, abs=0.0001)
    assert as_data(packages, "installed", now, None)["better"] is None
    assert values(better.setting) == {
        "layers": better.setting.layers,
        "own-layers": better.setting.own,
    }


def test_sizes_have_units_of_1000() -> None:
    """Docker's output has them, too."""
    sizes = [0, 940, 99_940, 100_000, 17_240_000, 1_234_000_000]
    assert [megabytes(size) for size in sizes] == [
        "0.0 kB", "0.9 kB", "99.9 kB", "0.1 MB", "17.2 MB", "1234.0 MB",
    ]  # fmt: skip


def test_no_packages_need_no_sizes() -> None:
    """An image may install none."""
    assert settle([], {}) == ()
