"""Tests of manifests: what changes them, and which packages and files they contain."""

from __future__ import annotations

import json
import os
import platform
import sys
from copy import deepcopy
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
import tomlkit
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from marker_texts import ATOMS, ENVIRONMENTS, EXTRAS, MACHINES, markers
from packaging.utils import canonicalize_name
from poetry.core.version.markers import parse_marker
from poetry.packages.locker import Locker
from poetry.puzzle.transaction import Transaction

from poetry_docker_cache.inside.manifest.__main__ import main
from poetry_docker_cache.inside.manifest.locked_packages import (
    Wanted,
    manifests,
    select,
    sources,
)
from poetry_docker_cache.inside.manifest.target import Target

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MACHINE = platform.machine()
TAG = f"cp{Target.here().python[0]}{Target.here().python[1]}"


def files(*names: str, digest: str = "0") -> list[dict[str, str]]:
    """Return entries for files in a lock."""
    return [{"file": name, "hash": f"sha256:{digest * 64}"} for name in names]


def package(name: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401  # values of TOML
    """Return a locked package."""
    base = {"name": name, "version": "1.0", "description": name, "optional": False}
    base.update({"python-versions": ">=3.9", "groups": ["main"]})
    base["files"] = files(f"{name}-1.0-py3-none-any.whl", f"{name}-1.0.tar.gz")
    return {**base, **more}


PYPROJECT: dict[str, Any] = {
    "project": {"name": "app", "version": "1.0", "dependencies": ["pure"]},
    "tool": {
        "ruff": {"line-length": 80},
        "poetry": {
            "source": [
                {"name": "mirror", "url": "https://mirror.example/simple"},
                {"name": "private", "url": "https://private.example/", "priority": "explicit"},
                {"name": "unused", "url": "https://unused.example/", "priority": "supplemental"},
            ]
        },
    },
}
LOCK: dict[str, Any] = {
    "package": [
        package("pure"),
        package(
            "Native.Code", files=files(f"Native.Code-1.0-{TAG}-{TAG}-manylinux1_{MACHINE}.whl")
        ),
        package("fancy", optional=True, markers='extra == "nice"'),
        package("here", markers=f'platform_machine == "{MACHINE}" and python_version >= "3.9"'),
        package("held", markers='python_version >= "3.9"'),
        package("elsewhere", markers='platform_machine == "pdp11"'),
        package("windows", markers='sys_platform == "win32"'),
        package("linter", groups=["Dev_Tools"]),
        package(
            "shared",
            groups=["dev", "main"],
            markers={"main": "'tegra' in platform_release", "dev": 'python_version >= "3.0"'},
            source={"type": "legacy", "url": "https://private.example", "reference": "private"},
        ),
    ],
    "metadata": {"lock-version": "2.1", "python-versions": ">=3.9", "content-hash": "1"},
}


def written(
    folder: Path,
    pyproject: dict[str, Any],
    lock: dict[str, Any],
    *arguments: str,
    spoil: Callable[[str], str] = str,
) -> dict[str, bytes]:
    """Run the command line on a project with these files; return each layer's manifest."""
    folder.mkdir(exist_ok=True)
    (folder / "pyproject.toml").write_bytes(spoil(tomlkit.dumps(pyproject)).encode())
    (folder / "poetry.lock").write_bytes(spoil(tomlkit.dumps(lock)).encode())
    output = folder / "out" / "manifest"
    options = [
        "--layers",
        "dependencies",
        "source",
        "--project",
        str(folder),
        "--output",
        str(output),
    ]
    assert main(["--group", "main", *arguments, *options]) == 0
    paths = sorted(output.iterdir())
    assert {path.stat().st_mode & 0o777 for path in paths} == {0o644}
    assert [path.name for path in paths] == ["dependencies.json", "source.json"]
    return {path.stem: path.read_bytes() for path in paths}


def entry(lock: dict[str, Any], name: str) -> dict[str, Any]:
    """Find a package in a lock."""
    return next(package for package in lock["package"] if package["name"] == name)


NO_CHANGE: dict[str, Any] = {
    "the project's version": lambda p, _: p["project"].update(version="2.0"),
    "its description": lambda p, _: p["project"].update(description="new"),
    "a linter's setting": lambda p, _: p["tool"]["ruff"].update({"line-length": 100}),
    "a constraint that changes nothing": lambda p, _: p["project"].update(dependencies=["pure>0"]),
    "the content hash": lambda _, k: k["metadata"].update({"content-hash": "2"}),
    "a dev package bumped": lambda _, k: entry(k, "linter").update(version="2.0"),
    "a dev package added": lambda _, k: k["package"].insert(0, package("a", groups=["dev"])),
    "a dev package gone": lambda _, k: k["package"].remove(entry(k, "linter")),
    "a package needed by dev too": lambda _, k: entry(k, "pure").update(groups=["main", "dev"]),
    "the marker of another group": lambda _, k: entry(k, "shared")["markers"].update(
        dev='python_version >= "3.10"'
    ),
    "a package's description": lambda _, k: entry(k, "pure").update(description="new"),
    "a package's Pythons": lambda _, k: entry(k, "pure").update({"python-versions": ">=3.10"}),
    "a package's dependencies": lambda _, k: entry(k, "pure").update(dependencies={"x": "*"}),
    "a marker that holds anyway": lambda _, k: entry(k, "pure").update(
        markers='python_version >= "3.9" and sys_platform != "win32"'
    ),
    "a marker in another form": lambda _, k: entry(k, "here").update(
        markers=f'python_full_version >= "3.9.0" and platform_machine in "{MACHINE}"'
    ),
    "a marker gone that held anyway": lambda _, k: entry(k, "held").pop("markers"),
    "the decided part of a marker": lambda _, k: entry(k, "shared")["markers"].update(
        main="sys_platform == 'linux' and \"tegra\" in platform_release"
    ),
    "files of other platforms": lambda _, k: entry(k, "Native.Code")["files"].extend(
        files(
            "Native.Code-1.0-cp38-cp38-manylinux1_x86_64.whl",
            f"Native.Code-1.0-{TAG}-{TAG}-win_amd64.whl",
            f"Native.Code-1.0-{TAG}-{TAG}-musllinux_1_1_x86_64.whl",
            "Native.Code-1.0-pp310-pypy310_pp73-manylinux1_x86_64.whl",
        )
    ),
    "a repeated file": lambda _, k: entry(k, "pure")["files"].extend(entry(k, "pure")["files"]),
    "the order of files": lambda _, k: entry(k, "pure")["files"].reverse(),
    "the order of packages": lambda _, k: k["package"].reverse(),
    "a package's spelling": lambda _, k: entry(k, "Native.Code").update(name="native_code"),
    "a source distribution with a pure wheel": lambda _, k: entry(k, "pure")["files"].pop(),
    "an extra that is not chosen": lambda _, k: entry(k, "fancy").update(version="3.0"),
    "a package for another system": lambda _, k: entry(k, "windows").update(version="3.0"),
    "an unused supplemental source": lambda p, _: p["tool"]["poetry"]["source"].append(
        {"name": "more", "url": "https://more.example", "priority": "supplemental"}
    ),
    "an unused explicit source": lambda p, _: p["tool"]["poetry"]["source"].pop(),
    "a primary source that says so": lambda p, _: p["tool"]["poetry"]["source"][0].update(
        priority="primary"
    ),
}

CHANGE: dict[str, Any] = {
    "a version": lambda _, k: entry(k, "pure").update(version="1.1"),
    "a hash": lambda _, k: entry(k, "pure")["files"][0].update(hash="sha256:" + "1" * 64),
    "a package added": lambda _, k: k["package"].append(package("more")),
    "a package removed": lambda _, k: k["package"].remove(entry(k, "pure")),
    "a marker that matters": lambda _, k: entry(k, "here").update(
        markers='platform_machine == "pdp11"'
    ),
    "a marker that differs on other machines": lambda _, k: entry(k, "here").update(
        markers=f'platform_machine in "{MACHINE}, other"'
    ),
    "a package for another machine": lambda _, k: entry(k, "elsewhere").update(version="3.0"),
    "a marker that only the kernel decides": lambda _, k: entry(k, "here").update(
        markers='platform_release >= "5"'
    ),
    "a marker that excludes": lambda _, k: entry(k, "pure").update(markers='os_name == "nt"'),
    "a marker gone": lambda _, k: entry(k, "elsewhere").pop("markers"),
    "a fitting file": lambda _, k: entry(k, "Native.Code")["files"].extend(
        files(f"Native.Code-1.0-{TAG}-{TAG}-manylinux1_s390x.whl")
    ),
    "a package's source": lambda _, k: entry(k, "pure").update(
        source={"type": "legacy", "url": "https://unused.example", "reference": "unused"}
    ),
    "a used source's address": lambda p, _: p["tool"]["poetry"]["source"][1].update(
        url="https://elsewhere.example"
    ),
    "a primary source": lambda p, _: p["tool"]["poetry"]["source"].insert(0, {"name": "PyPI"}),
    "the sources' order": lambda p, _: p["tool"]["poetry"]["source"].reverse(),
}


def edited(edit: Any) -> tuple[dict[str, Any], dict[str, Any]]:  # noqa: ANN401  # a lambda above
    """Apply an edit to copies of the project's files."""
    pyproject, lock = deepcopy(PYPROJECT), deepcopy(LOCK)
    edit(pyproject, lock)
    return pyproject, lock


@pytest.mark.parametrize("edit", NO_CHANGE)
def test_edit_without_effect_keeps_the_manifest(edit: str, tmp_path: Path) -> None:
    """Every byte stays the same."""
    after = edited(NO_CHANGE[edit])
    assert after != (PYPROJECT, LOCK)
    assert written(tmp_path, *after) == written(tmp_path, PYPROJECT, LOCK)


@pytest.mark.parametrize("edit", CHANGE)
def test_edit_with_effect_changes_the_manifest(edit: str, tmp_path: Path) -> None:
    """It differs from that of the original files."""
    assert written(tmp_path, *edited(CHANGE[edit])) != written(tmp_path, PYPROJECT, LOCK)


def test_options_choose_packages_and_files(tmp_path: Path) -> None:
    """Groups and extras choose packages in any spelling; binary policies choose files."""

    def packages(*arguments: str) -> dict[str, Any]:
        found = written(tmp_path, PYPROJECT, LOCK, *arguments).values()
        every = [package for text in found for package in json.loads(text)["packages"]]
        names = [package["name"] for package in every]
        assert len(names) == len(set(names))
        return dict(zip(names, every, strict=True))

    plain = packages()
    assert set(plain) == {"pure", "native-code", "here", "held", "elsewhere", "shared"}
    assert set(packages("--extra", "Nice")) - set(plain) == {"fancy"}
    assert set(packages("--group", "DEV.Tools")) - set(plain) == {"linter"}
    assert plain["shared"]["marker"] == '"tegra" in platform_release'
    assert plain["here"]["marker"] == f'platform_machine == "{MACHINE}"'
    assert plain["elsewhere"]["marker"] == 'platform_machine == "pdp11"'
    assert "marker" not in plain["held"]
    assert "marker" not in packages("--group", "dev")["shared"]

    def names(found: dict[str, Any]) -> list[str]:
        return [file["file"] for file in found["pure"]["files"]]

    wheel, source = "pure-1.0-py3-none-any.whl", "pure-1.0.tar.gz"
    assert names(plain) == [wheel]
    assert names(packages("--no-binary", "pure")) == [source]
    all_but_one = ("--no-binary", ":all:", "--only-binary", "native-code")  # it has only a wheel
    assert names(packages(*all_but_one)) == [source]
    assert names(packages(*all_but_one, "--only-binary", "pure")) == [wheel]
    assert names(packages("--no-binary", "pure", "--only-binary", ":all:")) == [source]


def test_manifests_have_a_canonical_form(tmp_path: Path) -> None:
    """It does not depend on line endings, comments and the umask."""
    plain = written(tmp_path, PYPROJECT, LOCK)
    crlf = written(tmp_path, PYPROJECT, LOCK, spoil=lambda text: text.replace("\n", "\r\n"))
    other = written(tmp_path, PYPROJECT, LOCK, spoil=lambda text: f"# by Poetry 2.1.0\n{text}")
    before = os.umask(0o077)
    try:
        strict = written(tmp_path / "strict", PYPROJECT, LOCK)
    finally:
        os.umask(before)
    assert plain == crlf == other == strict
    content = json.loads(plain["source"])
    text = json.dumps(content, indent=1, sort_keys=True) + "\n"
    assert plain["source"] == text.encode()
    assert [source["name"] for source in content["sources"]] == ["mirror", "private"]
    assert content["sources"][0]["priority"] == "primary"


def test_supplemental_pypi_is_kept(tmp_path: Path) -> None:
    """Packages without a source may come from it."""
    pyproject = deepcopy(PYPROJECT)
    pyproject["tool"]["poetry"]["source"] += [{"name": "pypi", "priority": "supplemental"}]
    found = json.loads(written(tmp_path, pyproject, LOCK)["dependencies"])["sources"]
    assert {"name": "PyPI", "priority": "supplemental"} in found


@pytest.mark.parametrize(
    ("source", "unsourced", "expected"),
    [
        ({"name": "pypi"}, True, [{"name": "PyPI", "priority": "primary"}]),
        ({"name": "PyPI", "priority": "supplemental"}, False, []),
        (
            {"name": "PyPI", "priority": "supplemental"},
            True,
            [{"name": "PyPI", "priority": "supplemental"}],
        ),
    ],
)
def test_pypi_as_a_source(
    source: dict[str, str], unsourced: bool, expected: list[dict[str, str]]
) -> None:
    """PyPI keeps its priority, if a package may come from it."""
    pyproject = {"tool": {"poetry": {"source": [source]}}}
    assert sources(pyproject, {"pypi"} if unsourced else set()) == expected


# --- Layers --------------------------------------------------------------------------------------
LAYERS = ("pure-1", "pure-2", "native-1", "own-solo", "source")
GLIBC = Target((3, 12), "cp312", "glibc", (2, 36), Target.linux("3.12").environment)
NATIVE = "-1.0-cp312-cp312-manylinux_2_28_x86_64.whl"


def layered(
    packages: list[dict[str, Any]],
    *,
    pyproject: dict[str, Any] | None = None,
    target: Target = GLIBC,
    **more: Any,  # noqa: ANN401  # fields of Wanted
) -> dict[str, dict[str, Any]]:
    """Return the manifests of these packages, for a given Python."""
    wanted = Wanted(
        **{
            "groups": ["main"],
            "extras": [],
            "no_binary": [],
            "only_binary": [],
            "libc": "glibc",
            "layers": LAYERS,
            **more,
        }
    )
    return manifests(pyproject or {}, {**LOCK, "package": packages}, wanted, target)


def names(content: dict[str, Any]) -> list[str]:
    """Return the names of the packages in a manifest."""
    return [package["name"] for package in content["packages"]]


MIRRORED: dict[str, Any] = {"type": "legacy", "url": "https://m.example", "reference": "Mirror"}
EVERY_KIND = [
    *(package(f"pure{number}", source=MIRRORED) for number in range(6)),
    package("native", files=files(f"native{NATIVE}", "native-1.0.tar.gz"), source=MIRRORED),
    package(
        "Solo",
        files=files(f"solo{NATIVE}", "solo-1.0.tar.gz"),
        source={**MIRRORED, "reference": "private"},
    ),
    package("sdist", files=files("sdist-1.0.tar.gz"), source=MIRRORED),
    package("linter", groups=["dev"]),
]


def test_package_is_in_one_layer() -> None:
    """Each layer has a manifest, even without packages."""
    content = layered(EVERY_KIND)
    assert tuple(content) == LAYERS
    assert sorted(name for layer in content.values() for name in names(layer)) == sorted(
        package["name"].lower() for package in EVERY_KIND[:-1]
    )
    assert names(content["pure-1"])
    assert names(content["pure-2"])
    assert names(content["native-1"]) == ["native"]
    assert names(content["own-solo"]) == ["solo"]
    assert names(content["source"]) == ["sdist"]
    assert content["native-1"]["packages"][0]["files"] == files(f"native{NATIVE}")
    assert content["source"]["packages"][0]["files"] == files("sdist-1.0.tar.gz")
    assert layered([])["pure-1"] == {"packages": [], "sources": []}


def test_path_dependency_is_in_no_layer(tmp_path: Path) -> None:
    """It has a build stage, so no change of it changes a manifest."""
    lock = deepcopy(LOCK)
    before = written(tmp_path, PYPROJECT, lock)
    local = package("local", files=[], source={"type": "directory", "url": "../local"})
    lock["package"].append({**local, "develop": True})
    assert written(tmp_path, PYPROJECT, lock) == before


def test_excluded_wheel_is_built_from_source() -> None:
    """Poetry's settings move a package to the layer `source`."""
    content = layered(EVERY_KIND, no_binary=["native", "solo"])
    assert names(content["source"]) == ["native", "sdist", "solo"]
    assert content["source"]["packages"][0]["files"] == files("native-1.0.tar.gz")
    assert names(content["own-solo"]) == []


RELOCKED: dict[str, Any] = {
    "a dev package bumped": lambda _, k: k[-1].update(version="2.0"),
    "a dev package added": lambda _, k: k.append(package("another", groups=["dev"])),
    "a package that dev needs too": lambda _, k: k[0].update(groups=["main", "dev"]),
    "a source added": lambda s, _: s.append({"name": "new", "url": "https://new.example"}),
    "a source added before the others": lambda s, _: s.insert(0, {"name": "PyPI"}),
    "a source's priority": lambda s, _: s[0].update(priority="supplemental"),
    "another source's priority": lambda s, _: s[1].update(priority="primary"),
    "the sources' order": lambda s, _: s.reverse(),
    "an unused source's address": lambda s, _: s[2].update(url="https://elsewhere.example"),
    "an unused source gone": lambda s, _: s.pop(),
}


@pytest.mark.parametrize("edit", RELOCKED)
def test_unrelated_edit_keeps_layers_of_wheels(edit: str) -> None:
    """If all packages name their source, other sources do not matter."""
    packages, declared = deepcopy(EVERY_KIND), deepcopy(SOURCES)
    RELOCKED[edit](declared, packages)
    assert (packages, declared) != (EVERY_KIND, SOURCES)
    before = layered(EVERY_KIND, pyproject={"tool": {"poetry": {"source": SOURCES}}})
    after = layered(packages, pyproject={"tool": {"poetry": {"source": declared}}})
    del before["source"], after["source"]
    assert after == before


SOURCES = [
    {"name": "mirror", "url": "https://m.example"},
    {"name": "private", "url": "https://p.example", "priority": "explicit"},
    {"name": "unused", "url": "https://u.example", "priority": "supplemental"},
]


def test_sources_of_a_layer() -> None:
    """They are those of its packages; if a package has none, all that Poetry may use."""
    pyproject = {"tool": {"poetry": {"source": SOURCES}}}
    mirror = {"name": "mirror", "url": "https://m.example"}
    content = layered(EVERY_KIND, pyproject=pyproject)
    assert content["pure-1"]["sources"] == content["native-1"]["sources"] == [mirror]
    assert content["own-solo"]["sources"] == [{"name": "private", "url": "https://p.example"}]
    assert content["source"]["sources"] == [{**mirror, "priority": "primary"}]

    def of_one_layer(*packages: dict[str, Any]) -> list[dict[str, str]]:
        found = layered([*packages], pyproject=pyproject, layers=["dependencies"])
        sources: list[dict[str, str]] = found["dependencies"]["sources"]
        return sources

    both = of_one_layer(EVERY_KIND[7], EVERY_KIND[0])
    assert [source["name"] for source in both] == ["mirror", "private"]
    assert of_one_layer(package("plain")) == [{**mirror, "priority": "primary"}]


def test_direct_packages_keep_their_source() -> None:
    """The layer has all sources for build requirements; no package is editable."""
    git = {"type": "git", "url": "https://g.example/a", "reference": "main", "subdirectory": "a"}
    git["resolved_reference"] = "0" * 40
    url = {"type": "url", "url": "https://u.example/u-1.0-cp27-none-win32.whl"}
    file = {"type": "file", "url": "libs/f-1.0.tar.gz"}
    marker = 'platform_machine == "x86_64"'
    packages = [
        package("u", files=files("u-1.0-cp27-none-win32.whl"), source=url),
        package("Of.Git", files=[], source=git, develop=True, markers=marker),
        package("f", files=files("f-1.0.tar.gz", digest="1") * 2, source=file),
        package("gone", files=[], source=git, markers='sys_platform == "win32"'),
    ]
    pypi = {"name": "PyPI", "priority": "supplemental"}
    constraints = {"of-git": {"setuptools": "<75"}}
    poetry = {"source": [*SOURCES, pypi], "build-constraints": constraints}
    content = layered(
        packages, pyproject={"tool": {"poetry": poetry}}, layers=["direct"], no_binary=[":all:"]
    )
    common = {"version": "1.0"}
    assert content["direct"] == {
        "packages": [
            {"name": "of-git", "files": [], "marker": marker, "source": git, **common},
            {"name": "f", "files": files("f-1.0.tar.gz", digest="1"), "source": file, **common},
            {"name": "u", "files": files("u-1.0-cp27-none-win32.whl"), "source": url, **common},
        ],
        "sources": [{**SOURCES[0], "priority": "primary"}, pypi],
        "build-constraints": constraints,
    }


def test_build_constraints_are_in_the_source_layer() -> None:
    """Only constraints for packages of this layer are in its manifest."""
    solo, built = EVERY_KIND[7]["name"], "Built.Here"
    packages = [*EVERY_KIND, package(built, files=files("built_here-1.0.tar.gz"))]
    expected = {"built-here": {"setuptools": "<75"}}

    def found(constraints: dict[str, Any]) -> dict[str, Any]:
        return layered(packages, pyproject={"tool": {"poetry": {"build-constraints": constraints}}})

    content = found({built: {"setuptools": "<75"}, solo: {"setuptools": "<70"}})
    assert content["source"].pop("build-constraints") == expected
    assert content == layered(packages) == found({})


@pytest.mark.parametrize("bump", range(8))
def test_upgrade_changes_one_layer(bump: int) -> None:
    """All other layers stay the same."""
    packages = deepcopy(EVERY_KIND)
    packages[bump]["version"] = "1.0.1"
    before, after = layered(EVERY_KIND), layered(packages)
    assert [layer for layer in LAYERS if before[layer] != after[layer]] == [
        layer for layer in LAYERS if packages[bump]["name"].lower() in names(before[layer])
    ]


def test_new_package_changes_one_layer() -> None:
    """No other package moves to another layer."""
    for name in ("one", "two", "three", "four", "five"):
        before, after = layered(EVERY_KIND), layered([package(name), *EVERY_KIND])
        (changed,) = (layer for layer in LAYERS if before[layer] != after[layer])
        assert set(names(after[changed])) - set(names(before[changed])) == {name}


def test_layer_is_the_planned_one() -> None:
    """It depends on the C library that the plugin knew, not on that of the image."""
    musl = package("a", files=files("a-1.0-cp312-cp312-musllinux_1_1_x86_64.whl", "a-1.0.tar.gz"))
    assert names(layered([musl])["source"]) == ["a"]
    with pytest.raises(ValueError, match="has no wheel for this image"):
        layered([musl], libc=None)
    alpine = Target((3, 12), "cp312", "musl", (1, 2), GLIBC.environment)
    for libc in ("musl", None):
        assert names(layered([musl], target=alpine, libc=libc)["native-1"]) == ["a"]
    assert layered([musl], target=alpine)["source"]["packages"][0]["files"] == musl["files"]


def test_no_wheel_for_this_image() -> None:
    """The message says what the image has, and what to do."""
    wheel = "a_b-1.0-cp312-cp312-manylinux_2_40_x86_64.whl"
    locked = package("A_b", files=files(wheel, "a_b-1.0.tar.gz"))
    with pytest.raises(ValueError, match="a-b") as caught:
        layered([locked])
    assert str(caught.value) == (
        "a-b 1.0 has no wheel for this image, which has glibc 2.36, Python 3.12."
        " Set another `base-image` in [tool.poetry-docker-cache], or build it from source: run"
        " `poetry config --local installer.no-binary a-b`."
    )
    with pytest.raises(ValueError, match=r"installer\.no-binary a-b,lxml`\.$"):
        layered([locked], no_binary=["lxml"])  # the command would replace it


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("a-1.0-py3-none-win_amd64.whl", {}, "a 1.0 has neither a source distribution nor a wheel"),
        (
            "a-1.0-cp312-cp312-manylinux_2_40_aarch64.whl",
            {},
            "a 1.0 has neither a source distribution nor a wheel for this image, which has glibc",
        ),
        ("a-1.0-py3-none-any.whl", {"no_binary": [":all:"]}, "`installer.no-binary` excludes"),
        ("a-1.0.tar.gz", {"only_binary": ["a"]}, "`installer.only-binary` excludes"),
        (
            "a-1.0-py3-none-win_amd64.whl",
            {"no_binary": ["a"]},
            "a 1.0 has neither a source distribution nor a wheel",
        ),
    ],
)
def test_no_file_for_this_image(name: str, settings: dict[str, Any], message: str) -> None:
    """The message says whether the lock or a setting of Poetry excludes the files."""
    with pytest.raises(ValueError, match=message):
        layered([package("a", files=files(name))], **settings)


# --- Platforms -----------------------------------------------------------------------------------
INTEL = "a-1.0-cp312-cp312-manylinux_2_28_x86_64.whl"
ARM = "a-1.0-cp312-cp312-manylinux_2_28_aarch64.whl"
SOLE = 'platform_machine == "x86_64"'


def test_manifest_does_not_depend_on_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All architectures and kernels give the same bytes: one platform writes them for all."""
    here = written(tmp_path / "here", PYPROJECT, LOCK)
    for machine, release in (("aarch64", "6.1.0-tegra"), ("i686", "4.4"), ("riscv64", "7.0")):
        assert machine != MACHINE
        monkeypatch.setattr(platform, "machine", lambda machine=machine: machine)
        monkeypatch.setattr(platform, "release", lambda release=release: release)
        assert written(tmp_path / machine, PYPROJECT, LOCK) == here


def test_wheels_for_all_machines_are_listed() -> None:
    """The installer on each platform chooses its own."""
    content = layered([package("a", files=files(INTEL, ARM, "a-1.0.tar.gz"))])
    assert content["native-1"]["packages"][0]["files"] == files(ARM, INTEL)
    assert layered([package("a", files=files(ARM))])["native-1"]["packages"][0]["files"]


@pytest.mark.parametrize(
    ("machines", "locked", "layer"),
    [
        ([], [INTEL, "a-1.0.tar.gz"], "native-1"),
        (["x86_64"], [INTEL, "a-1.0.tar.gz"], "native-1"),
        (["aarch64", "x86_64"], [INTEL, ARM, "a-1.0.tar.gz"], "native-1"),
        (["aarch64", "x86_64"], [INTEL, "a-1.0.tar.gz"], "source"),
        (["aarch64"], [INTEL, "a-1.0.tar.gz"], "source"),
        (["aarch64", "x86_64"], [INTEL], "native-1"),  # the installation fails there
    ],
)
def test_package_that_one_platform_must_build(
    machines: list[str], locked: list[str], layer: str
) -> None:
    """It is in the layer `source` on all platforms; Poetry uses a wheel if there is one."""
    content = layered([package("a", files=files(*locked))], machines=machines)
    assert [name for name in LAYERS if names(content[name])] == [layer]
    wanted = [name for name in locked if layer == "source" or name.endswith(".whl")]
    assert content[layer]["packages"][0]["files"] == sorted(
        files(*wanted), key=lambda file: file["file"]
    )


def test_package_is_not_built_on_platforms_without_it() -> None:
    """Its marker decides, as far as the plugin could evaluate it."""
    sole = package("a", files=files(INTEL, "a-1.0.tar.gz"), markers=SOLE)
    assert names(layered([sole], machines=["aarch64", "x86_64"])["native-1"]) == ["a"]
    late = {**sole, "markers": f'{SOLE} or python_full_version < "3.12.5"'}
    for patch in ("3.12.4", "3.12.6"):
        environment = {**GLIBC.environment, "python_full_version": patch}
        target = Target((3, 12), "cp312", "glibc", (2, 36), environment)
        content = layered([late], machines=["aarch64", "x86_64"], target=target)
        assert names(content["source"]) == ["a"]


def test_package_without_a_file_for_this_image_may_be_unwanted() -> None:
    """If the machine of the image wants it, the installation fails, not the manifest."""
    musl = package("a", files=files("a-1.0-cp312-cp312-musllinux_1_2_x86_64.whl"), markers=SOLE)
    assert layered([musl])["source"]["packages"] == [
        {"name": "a", "version": "1.0", "files": [], "marker": SOLE}
    ]


# --- Errors --------------------------------------------------------------------------------------
OLD = '[metadata]\nlock-version = "0.9"\n'
NEW = '[metadata]\nlock-version = "2.1"\n[[package]]\nname = "a"\nversion = "1"\n'
MAIN = 'groups = ["main"]\n'


@pytest.mark.parametrize(
    ("lock", "problem"),
    [
        (OLD, "poetry.lock has a format older than version 1.0. Run `poetry lock --regen"),
        (None, "poetry.lock"),
        ("a = ", "poetry.lock cannot be read: "),
        ("a = ", ". Restore it from version control."),
        (NEW, "an entry of poetry.lock has no 'groups'. Run `poetry lock --regenerate`"),
        (f'{NEW}{MAIN}markers = "os_name"\n', "not a marker: os_name"),
        (f"{NEW}{MAIN}", "no layer for a, which is built from source"),
    ],
)
def test_errors(
    lock: str | None, problem: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each error is one line on stderr, and nothing is written."""
    (tmp_path / "pyproject.toml").touch()
    if lock is not None:
        (tmp_path / "poetry.lock").write_text(lock)
    options = ["--project", str(tmp_path), "--output", str(tmp_path / "x"), "--group=main"]
    assert main([*options, "--layers=pure-1"]) == 1
    output, error = capsys.readouterr()
    assert output == ""
    assert error.startswith("poetry-docker-cache: ")
    assert problem in error
    assert error.count("\n") == 1
    assert not (tmp_path / "x").exists()


# --- Packages ------------------------------------------------------------------------------------
GROUPS = ["main", "dev", "Docs_x", "dev,tests"]


@st.composite
def locked_packages(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a lock, with one marker for all groups of a package or one for each."""
    packages = []
    for name in ("a", "b", "c"):
        groups = draw(st.lists(st.sampled_from(GROUPS), min_size=1, unique=True))
        more = {"groups": groups, "optional": draw(st.booleans())}
        # Poetry joins the markers of all groups; with long ones this takes minutes.
        one = markers(ATOMS, leaves=3).map(lambda text: str(parse_marker(text)))
        one = one.filter(lambda text: text not in ("", "<empty>"))
        each = st.dictionaries(st.sampled_from(groups), one)
        more |= draw(st.fixed_dictionaries({}, optional={"markers": one | each}))
        packages.append(package(name, **more))
    return {**LOCK, "package": packages}


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(
    locked_packages(),
    st.sets(st.sampled_from(GROUPS), min_size=1),
    EXTRAS,
    ENVIRONMENTS,
    MACHINES,
)
def test_packages_match_poetry(  # noqa: PLR0913, PLR0917  # all inputs of the choice
    tmp_path_factory: pytest.TempPathFactory,
    lock: dict[str, Any],
    groups: set[str],
    extras: set[str],
    environment: dict[str, str],
    machine: dict[str, str],
) -> None:
    """The chosen packages are those that Poetry's Transaction installs, on any machine."""
    path = tmp_path_factory.getbasetemp() / "poetry.lock"
    path.write_text(tomlkit.dumps(lock), encoding="utf-8")
    names = {canonicalize_name(group) for group in groups}
    transaction = Transaction(
        [], Locker(path, {}).locked_packages(), [], None, {**environment, **machine}, names
    )
    operations = transaction.calculate_operations(
        with_uninstalls=False, extras={canonicalize_name(extra) for extra in extras}
    )
    expected = {str(operation.package.name) for operation in operations if not operation.skipped}
    found = {
        package["name"]
        for package, marker in select(lock, groups, extras, environment)
        if parse_marker(marker).validate({**environment, **machine})
    }
    assert found == expected


def test_old_pip_cannot_read_toml(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before Python 3.11, pip's parser is used; the message for an old pip has the line to add."""
    (tmp_path / "pyproject.toml").write_text("")
    options = ["--layers=source", "--project", str(tmp_path), "--output", str(tmp_path)]
    with monkeypatch.context() as patch:
        patch.setattr(sys, "version_info", (3, 9))
        patch.setitem(sys.modules, "pip._vendor", ModuleType("pip._vendor"))
        patch.delitem(sys.modules, "pip._vendor.tomli", raising=False)
        status = main(options)
    assert status == 1
    assert 'build = ["RUN python -m pip install --upgrade pip"]' in capsys.readouterr().err
