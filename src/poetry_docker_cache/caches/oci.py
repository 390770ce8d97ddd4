"""BuildKit's local cache on disk, an OCI image layout: whether it is whole, and what it names."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

INDEX = "index.json"
LAYOUT = "oci-layout"
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_CHUNK = 2**20
_LARGEST_DOCUMENT = 2**26


class Damaged(Exception):  # noqa: N818  # a finding, which the caller words
    """The folder is not a whole cache; the text says what is wrong with it."""


def blob(folder: Path, name: str) -> Path:
    """Give the path of a blob; its name is the digest without `sha256:`."""
    return folder / "blobs" / "sha256" / name


def survey(folder: Path, *, bytes_too: bool = True) -> frozenset[str]:
    """Give the names of all blobs that the index leads to.

    Raises Damaged where one is missing or has another size than is said of it, or (`bytes_too`)
    other content than its name says. BuildKit looks only when it needs a blob, and a wrong one
    fails the build then.
    """
    found: set[str] = set()
    waiting = _children(_document(folder / INDEX))
    while waiting:
        descriptor = waiting.pop()
        name = _name(descriptor)
        if name in found:
            continue
        found.add(name)
        path = blob(folder, name)
        _check(path, name, descriptor.get("size"), bytes_too=bytes_too)
        if re.search(r"manifest|index", str(descriptor.get("mediaType", ""))):
            waiting += _children(_document(path))
    return frozenset(found)


def _check(path: Path, name: str, size: object, *, bytes_too: bool) -> None:
    try:
        if not path.is_file():
            raise Damaged(f"a blob is missing ({name[:12]}…)")
        if path.stat().st_size != size:
            raise Damaged(f"a blob is cut short ({name[:12]}…)")
        if bytes_too and _sha256(path) != name:
            raise Damaged(f"a blob is not what was written ({name[:12]}…)")
    except OSError as error:
        raise Damaged(f"a blob cannot be read ({error.strerror})") from error


def _document(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _LARGEST_DOCUMENT:
            raise Damaged(f"{path.name} is too large")
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise Damaged(f"{path.name} cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise Damaged(f"{path.name} is not JSON") from error
    if not isinstance(content, dict):
        raise Damaged(f"{path.name} is no index")
    return content


def _children(document: dict[str, Any]) -> list[dict[str, Any]]:
    several = [document.get("manifests") or [], document.get("layers") or []]
    several.append([document["config"]] if document.get("config") else [])
    if not all(isinstance(items, list) for items in several):
        raise Damaged("an index holds no list")
    found = [item for items in several for item in items]
    if not found or not all(isinstance(item, dict) for item in found):
        raise Damaged("an index names nothing")
    return found


def _name(descriptor: dict[str, Any]) -> str:
    match = _DIGEST.fullmatch(str(descriptor.get("digest", "")))
    if not match:
        raise Damaged("an index names a blob by another digest than sha256")
    return match[1]


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
