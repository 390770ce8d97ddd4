"""Sizes of packages: their origin and unit, and reading them from files and index pages."""

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
    """Make a locked package."""
    return LockedPackage(name=name, version=version, kind=kind)


def sizes(**packages: int) -> Sizes:
    """Make sizes of packages that are locked in version 1.0."""
    return {(name, "1.0"): size for name, size in packages.items()}


def test_preferred_origin_wins() -> None:
    """The environment comes before the image; packages are sorted by size, then by name."""
    packages = [locked("b"), locked("a"), locked("c")]
    found: dict[Origin, Sizes] = {
        "environment": sizes(a=5),
        "image": sizes(a=7, b=5, c=9),
    }
    result = [
        (sized.name, sized.size, sized.origin, sized.exact) for sized in settle(packages, found)
    ]
    assert result == [
        ("c", 9, "image", True),
        ("a", 5, "environment", True),
        ("b", 5, "image", True),
    ]
    assert unit_of(found) == "installed"


def test_download_sizes_are_converted() -> None:
    """They are converted and marked if the other sizes are of installed packages."""
    packages = [locked("a"), locked("b")]
    found: dict[Origin, Sizes] = {"environment": sizes(a=100), "index": sizes(b=100)}
    first, second = settle(packages, found)
    assert (first.name, first.size, first.exact) == ("b", 100 * UNPACKED, False)
    assert (second.name, second.size, second.exact) == ("a", 100, True)
    only: dict[Origin, Sizes] = {"environment": {}, "index": sizes(a=100, b=100)}
    assert unit_of(only) == "download"
    assert all(sized.exact and sized.size == 100 for sized in settle(packages, only))


def test_unknown_size_is_the_median_of_its_kind() -> None:
    """If no size of its kind is known, it is the median of all packages."""
    packages = [locked(name) for name in "abc"] + [locked("x", "native"), locked("y", "native")]
    packages.append(locked("z", "source"))
    found: dict[Origin, Sizes] = {"index": sizes(a=1, b=3, x=100)}
    given = {sized.name: (sized.size, sized.origin) for sized in settle(packages, found)}
    assert given["c"] == (2, None)
    assert given["y"] == (100, None)
    assert given["z"] == (3, None)
    assert [sized.size for sized in settle([locked("a")], {})] == [0]


def test_only_locked_versions_count() -> None:
    """Different spellings of a version are equal, such as 1.0 and 1.0.0."""
    packages = [
        locked("a", version="1.0"),
        locked("b", version="2"),
        locked("c", version="odd one"),
    ]
    found = {"a": ("1.0.0", 1), "b": ("2.1", 1), "c": ("odd one", 3), "d": ("1", 1)}
    assert locked_sizes(packages, found) == {("a", "1.0"): 1, ("c", "odd one"): 3}


def test_versions_of_two_images_have_their_own_sizes() -> None:
    """A package may have one build for CPU and another for GPU."""
    packages = [locked("torch", version="2.9.0"), locked("torch", version="2.9.0+cpu")]
    packages = [
        replace(package, family=family) for package, family in zip(packages, "ab", strict=True)
    ]
    found: dict[Origin, Sizes] = {
        "environment": locked_sizes(packages, {"torch": ("2.9.0+cpu", 2)}),
        "index": {("torch", "2.9.0"): 9, ("torch", "2.9.0+cpu"): 1},
    }
    assert [(sized.version, sized.size, sized.origin) for sized in settle(packages, found)] == [
        ("2.9.0", round(9 * UNPACKED), "index"),
        ("2.9.0+cpu", 2, "environment"),
    ]


def _distribution(folder: Path, name: str, record: str | None) -> None:
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    if record is not None:
        (info / "RECORD").write_text(record)


def test_installed_packages_are_measured(tmp_path: Path) -> None:
    """Sizes come from RECORD or the files, without bytecode and broken packages."""
    record = "a/x.py,sha256=x,40\na/__pycache__/x.cpython-313.pyc,sha256=x,900\na/y.py,,\ngone,,\n"
    _distribution(tmp_path, "Some.Name", record)
    _distribution(tmp_path, "broken", None)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.py").write_text("1234567")  # RECORD has another size
    (tmp_path / "a" / "y.py").write_text("12345")
    assert installed.installed([str(tmp_path)]) == {"some-name": ("1.0", 45)}
    assert installed.installed([]) == {}


def test_script_runs_on_python_39() -> None:
    """It runs in the image and imports nothing of this project."""
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
def test_file_for_this_machine_is_chosen(
    names: list[str], machine: str, expected: str | None
) -> None:
    """It is a wheel for this architecture, else one for x86_64, else any file."""
    assert best_file(names, machine) == expected
    assert best_file(names[::-1], machine) == expected


def _page(body: str, content_type: str) -> Response:
    page = Response()
    page.url = "https://acme.test/simple/a/"
    page._content = body.encode()
    page.encoding = "utf-8"
    page.headers["Content-Type"] = content_type
    return page


def test_json_index_has_sizes() -> None:
    """The format is that of PEP 691 and PEP 700; the size may be missing."""
    files = [
        {"filename": "a-1.whl", "url": "../../files/a-1.whl", "size": 12},
        {"filename": "a-2.whl", "url": "https://files.test/a-2.whl"},
    ]
    page = _page(json.dumps({"files": files}), "application/vnd.pypi.simple.v1+json")
    assert _listed(page) == {
        "a-1.whl": ("https://acme.test/files/a-1.whl", 12),
        "a-2.whl": ("https://files.test/a-2.whl", None),
    }


def test_html_index_has_links() -> None:
    """Names may be quoted, and links relative to a base, as in PEP 503."""
    page = _page('<base href="/x/"><a href="a-1%2Bcpu.whl#sha256=0">a</a><a>none</a>', "text/html")
    assert _listed(page) == {"a-1+cpu.whl": ("https://acme.test/x/a-1%2Bcpu.whl", None)}
