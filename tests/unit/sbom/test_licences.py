"""The licences in metadata, and the wheel that they are read from."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poetry_docker_cache.sbom.licences import (
    WHEEL,
    declared_licences,
    licences_in_document,
    read_licences,
    wheel_with_licence,
)

OSI = "Classifier: License :: OSI Approved"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (["License-Expression: MIT OR Apache-2.0", "License: BSD"], ("MIT OR Apache-2.0",)),
        (["License: BSD", f"{OSI} :: MIT License"], ("BSD",)),
        (["License: UNKNOWN", f"{OSI} :: MIT License"], ("MIT License",)),
        (["License: Copyright (c) Acme", "        All rights"], ()),
        ([f"License: {'x' * 101}", f"{OSI} :: B", f"{OSI} :: A", f"{OSI} :: B"], ("A", "B")),
        (["Classifier: License :: Public Domain", OSI, "Classifier: Typing :: Typed"],
         ("Public Domain",)),
        (["license-expression: LicenseRef-Acmé"], ("LicenseRef-Acmé",)),
        (["License: ", "License-Expression:"], ()),
    ],
)  # fmt: skip
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_most_exact_field_counts(fields: list[str], expected: tuple[str, ...], end: str) -> None:
    """The description, and long texts of licences, are not read."""
    lines = ["Metadata-Version: 2.4", "Name: a", *fields, "", "License-Expression: 0BSD", ""]
    assert read_licences(end.join(lines).encode()) == expected


def test_another_file_is_not_metadata() -> None:
    """A proxy may answer with a page of its own."""
    assert read_licences(b"<!doctype html>\n<p>License: MIT") is None
    assert read_licences(b"") is None


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_any_bytes_can_be_read(before: bytes, after: bytes) -> None:
    """Each licence is one line, and not empty."""
    for text in read_licences(before + b"\nMetadata-Version: 2.1\nLicense: " + after) or ():
        assert text == text.strip()
        assert len(text.splitlines()) == 1


def locked(*files: str, **keys: Any) -> dict[str, Any]:  # noqa: ANN401  # values of TOML
    """Return a package of a lock file."""
    listed = [{"file": file, "hash": f"sha256:{number:064}"} for number, file in enumerate(files)]
    return {"name": "a", "version": "1", "files": listed, **keys}


def test_same_wheel_is_read_for_all_platforms() -> None:
    """The order in the lock file does not matter."""
    systems = ("macosx_11_0_arm64", "musllinux_1_2_x86_64", "manylinux_2_28_x86_64", "win32")
    package = locked("a-1.tar.gz", *(f"a-1-cp313-cp313-{system}.whl" for system in systems))
    chosen = wheel_with_licence(package)
    assert chosen is not None
    assert chosen["file"] == "a-1-cp313-cp313-manylinux_2_28_x86_64.whl"
    random.shuffle(package["files"])
    assert wheel_with_licence(package) == chosen


def test_package_without_such_a_wheel() -> None:
    """A hash is the name of a file in the memory."""
    wheel = "a-1-py3-none-any.whl"
    assert wheel_with_licence(locked("a-1.tar.gz")) is None
    assert wheel_with_licence(locked(wheel, source={"type": "url", "url": "x"})) is None
    assert wheel_with_licence(locked(wheel, source={"type": "legacy", "url": "x"}))
    for digest in ("md5:" + "1" * 32, f"sha256:../{'1' * 61}", f"sha256:{'1' * 64}\n"):
        assert wheel_with_licence({"files": [{"file": wheel, "hash": digest}]}) is None


def test_licence_of_a_path_dependency() -> None:
    """Both tables of pyproject.toml may have it; a text or a file does not name it."""
    for table, expected in (
        ({"project": {"license": "MIT"}}, ("MIT",)),
        ({"project": {"license": {"text": "MIT"}}}, ("MIT",)),
        ({"project": {"license": {"text": "MIT\n\nCopyright"}}}, ()),
        ({"project": {"license": {"file": "LICENSE"}}}, ()),
        ({"tool": {"poetry": {"license": "MIT"}}}, ("MIT",)),
        ({}, ()),
    ):
        assert declared_licences(table) == expected


HASH = f"sha256:{'1' * 64}"
PROPERTIES = [{"name": WHEEL, "value": HASH}]


def in_component(properties: object = PROPERTIES, **keys: object) -> bytes:
    """Return a document with one component."""
    return json.dumps({"components": [{"name": "a", "properties": properties, **keys}]}).encode()


NO_LISTS: tuple[object, ...] = (1, {"a": 1}, "MIT", [1], ["MIT"], [[]], [{}])
WRONG: tuple[object, ...] = (1, [], None, "", " A", "A\nB", "A\x1b[2J", "\ud800", "x" * 1001)


def names(*texts: object) -> list[object]:
    """Return licences with these names."""
    return [{"license": {"name": text}} for text in texts]


def test_document_states_licences_by_wheel() -> None:
    """A component of another tool has no such property."""
    stated = in_component(licenses=[*names("B"), {"license": {"id": "MIT"}}])
    assert licences_in_document(stated) == {HASH: ("B", "MIT")}
    stated = in_component(licenses=[{"expression": "A OR B"}])
    assert licences_in_document(stated) == {HASH: ("A OR B",)}
    assert licences_in_document(in_component()) == {HASH: ()}
    assert licences_in_document(in_component([{"name": "other:tool", "value": HASH}])) == {}
    assert licences_in_document(b'{"components": [{"name": "a", "licenses": []}]}') == {}


@pytest.mark.parametrize(
    "document",
    [
        *(b"", b"\xff", b"{", b"[]", b"null", b"1", b'"components"', b"[" * 100_000, b"9" * 5000),
        *(b'{"components": 1}', b'{"components": [1]}', b'{"components": "text"}'),
        *map(in_component, (1, [1], ["x"], [[]], {"a": 1}, [{"name": WHEEL}], [{}])),
        *(in_component([{"name": WHEEL, "value": value}]) for value in (1, None, "../x", [HASH])),
        *(in_component(licenses=value) for value in NO_LISTS),
        *(in_component(licenses=[{key: 1}]) for key in ("license", "expression")),
        *(in_component(licenses=names("B", text)) for text in WRONG),
        in_component(licenses=names(*map(str, range(101)))),
    ],
)  # fmt: skip
def test_document_that_is_not_valid_states_nothing(document: bytes) -> None:
    """Anyone who may push an image can write it."""
    assert licences_in_document(document) == {}
