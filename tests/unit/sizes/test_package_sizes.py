"""Sizes of packages: whose counts, in which unit, and reading them from files and pages."""

from __future__ import annotations

import ast
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from requests import Response

from poetry_docker_cache.sizes import installed
from poetry_docker_cache.sizes.index_sizes import _listed, best_file
from poetry_docker_cache.sizes.package_sizes import (
    UNPACKED,
    LockedPackage,
    Origin,
    Sizes,
    locked_sizes,
    settle,
    unit_of,
)

if TYPE_CHECKING:
    from poetry_docker_cache.inside.manifest.layer_choice import Kind


def locked(name: str, kind: Kind = "pure", version: str = "1.0") -> LockedPackage:
    """A package of the lock."""
    return LockedPackage(name=name, version=version, kind=kind)


def sizes(**packages: int) -> Sizes:
    """Sizes of these packages, of which each is locked in its first version."""
    return {(name, "1.0"): size for name, size in packages.items()}


def test_the_nearest_origin_counts() -> None:
    """The environment before the image; heaviest first, by name among equals."""
    packages = [locked("b"), locked("a"), locked("c")]
    found: dict[Origin, Sizes] = {
        "environment": sizes(a=5),
        "image": sizes(a=7, b=5, c=9),
    }
    result = [(it.name, it.size, it.origin, it.exact) for it in settle(packages, found)]
    assert result == [
        ("c", 9, "image", True),
        ("a", 5, "environment", True),
        ("b", 5, "image", True),
    ]
    assert unit_of(found) == "installed"


def test_units_are_not_mixed() -> None:
    """What only the index knows is converted and marked where the rest is installed."""
    packages = [locked("a"), locked("b")]
    found: dict[Origin, Sizes] = {"environment": sizes(a=100), "index": sizes(b=100)}
    first, second = settle(packages, found)
    assert (first.name, first.size, first.exact) == ("b", 100 * UNPACKED, False)
    assert (second.name, second.size, second.exact) == ("a", 100, True)
    only: dict[Origin, Sizes] = {"environment": {}, "index": sizes(a=100, b=100)}
    assert unit_of(only) == "download"
    assert all(it.exact and it.size == 100 for it in settle(packages, only))


def test_an_unknown_size_is_the_median_of_its_kind() -> None:
    """Of all, where nobody knows any of its kind; and then it has no origin."""
    packages = [locked(name) for name in "abc"] + [locked("x", "native"), locked("y", "native")]
    packages.append(locked("z", "source"))
    found: dict[Origin, Sizes] = {"index": sizes(a=1, b=3, x=100)}
    given = {it.name: (it.size, it.origin) for it in settle(packages, found)}
    assert given["c"] == (2, None)
    assert given["y"] == (100, None)
    assert given["z"] == (3, None)
    assert [it.size for it in settle([locked("a")], {})] == [0]


def test_only_the_locked_version_counts() -> None:
    """However it is spelt."""
    packages = [
        locked("a", version="1.0"),
        locked("b", version="2"),
        locked("c", version="odd one"),
    ]
    found = {"a": ("1.0.0", 1), "b": ("2.1", 1), "c": ("odd one", 3), "d": ("1", 1)}
    assert locked_sizes(packages, found) == {("a", "1.0"): 1, ("c", "odd one"): 3}


def test_two_versions_of_two_images() -> None:
    """Each has its own size, as the builds of one package for CPU and GPU do."""
    packages = [locked("torch", version="2.9.0"), locked("torch", version="2.9.0+cpu")]
    packages = [replace(it, family=family) for it, family in zip(packages, "ab", strict=True)]
    found: dict[Origin, Sizes] = {
        "environment": locked_sizes(packages, {"torch": ("2.9.0+cpu", 2)}),
        "index": {("torch", "2.9.0"): 9, ("torch", "2.9.0+cpu"): 1},
    }
    assert [(it.version, it.size, it.origin) for it in settle(packages, found)] == [
        ("2.9.0", round(9 * UNPACKED), "index"),
        ("2.9.0+cpu", 2, "environment"),
    ]


def _distribution(folder: Path, name: str, record: str | None) -> None:
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    if record is not None:
        (info / "RECORD").write_text(record)


def test_what_is_installed_is_measured(tmp_path: Path) -> None:
    """By RECORD, by the file where that says nothing; without .pyc files and broken packages."""
    record = "a/x.py,sha256=x,40\na/__pycache__/x.cpython-313.pyc,sha256=x,900\na/y.py,,\ngone,,\n"
    _distribution(tmp_path, "Some.Name", record)
    _distribution(tmp_path, "broken", None)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.py").write_text("1234567")  # files that are gone may be left out
    (tmp_path / "a" / "y.py").write_text("12345")
    assert installed.installed([str(tmp_path)]) == {"some-name": ("1.0", 45)}
    assert installed.installed([]) == {}


def test_an_old_python_can_measure() -> None:
    """The script runs in the image, whose Python may be 3.9, and imports nothing of ours."""
    text = Path(str(installed.__file__)).read_text(encoding="utf-8")
    tree = ast.parse(text, feature_version=(3, 9))
    imported = {
        name
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [str(node.module)]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    known = {"__future__", "collections.abc", "importlib.metadata", "json", "re", "sys", "typing"}
    assert imported == known


@pytest.mark.parametrize(
    ("names", "machine", "expected"),
    [
        ([], "x86_64", None),
        (["a-1.tar.gz"], "x86_64", "a-1.tar.gz"),
        (["a-1-py3-none-any.whl", "a-1.tar.gz"], "arm64", "a-1-py3-none-any.whl"),
        (
            [
                "a-1-cp313-cp313-manylinux_2_17_aarch64.whl",
                "a-1-cp313-cp313-manylinux_2_17_x86_64.whl",
            ],
            "arm64",
            "a-1-cp313-cp313-manylinux_2_17_aarch64.whl",
        ),
        (
            [
                "a-1-cp313-cp313-manylinux_2_17_s390x.whl",
                "a-1-cp313-cp313-manylinux_2_17_x86_64.whl",
            ],
            "aarch64",
            "a-1-cp313-cp313-manylinux_2_17_x86_64.whl",
        ),
        (
            ["a-1-cp313-cp313-manylinux_2_17_x86_64.whl", "a-1.tar.gz"],
            "amd64",
            "a-1-cp313-cp313-manylinux_2_17_x86_64.whl",
        ),
    ],
)
def test_the_file_of_this_machine(names: list[str], machine: str, expected: str | None) -> None:
    """A wheel of its architecture, else the usual one, else what there is; in any order."""
    assert best_file(names, machine) == expected
    assert best_file(names[::-1], machine) == expected


def _page(body: str, content_type: str) -> Response:
    page = Response()
    page.url = "https://acme.test/simple/a/"
    page._content = body.encode()
    page.encoding = "utf-8"
    page.headers["Content-Type"] = content_type
    return page


def test_an_index_that_speaks_json_tells_sizes() -> None:
    """As PEP 691 and 700 have it; the size may be absent."""
    files = [
        {"filename": "a-1.whl", "url": "../../files/a-1.whl", "size": 12},
        {"filename": "a-2.whl", "url": "https://files.test/a-2.whl"},
    ]
    page = _page(json.dumps({"files": files}), "application/vnd.pypi.simple.v1+json")
    assert _listed(page) == {
        "a-1.whl": ("https://acme.test/files/a-1.whl", 12),
        "a-2.whl": ("https://files.test/a-2.whl", None),
    }


def test_an_index_of_html_tells_where_the_files_are() -> None:
    """Quoted names, relative links, a base and fragments, as PEP 503 allows."""
    page = _page('<base href="/x/"><a href="a-1%2Bcpu.whl#sha256=0">a</a><a>none</a>', "text/html")
    assert _listed(page) == {"a-1+cpu.whl": ("https://acme.test/x/a-1%2Bcpu.whl", None)}
