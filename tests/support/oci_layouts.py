"""An OCI layout on disk that is read like a registry."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class LayoutManifest(NamedTuple):
    """A manifest or index of the layout."""

    media_type: str
    digest: str
    data: dict[str, Any]


class Layout:
    """The blobs of an OCI layout; a tag is an entry of `index.json`, or the only one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.read: list[str] = []
        """The digests of the blobs that were read."""

    def put(self, content: bytes) -> str:
        """Add a blob; return its digest."""
        digest = hashlib.sha256(content).hexdigest()
        place = self.folder / "blobs" / "sha256"
        place.mkdir(parents=True, exist_ok=True)
        (place / digest).write_bytes(content)
        return f"sha256:{digest}"

    def path(self, digest: str) -> Path:
        """Return the file of a blob."""
        return self.folder / "blobs" / digest.replace(":", "/")

    def manifest(self, repository: str, target: str) -> LayoutManifest | None:
        """Return a manifest by its digest, or the only one."""
        del repository
        if not target.startswith("sha256:"):
            index = json.loads((self.folder / "index.json").read_bytes())
            target = index["manifests"][0]["digest"]
        if not self.path(target).exists():
            return None
        data = json.loads(self.path(target).read_bytes())
        return LayoutManifest(data["mediaType"], target, data)

    def blob(self, repository: str, digest: str, size: int) -> Iterator[bytes]:
        """Yield a blob in pieces."""
        del repository
        self.read.append(digest)
        content = self.path(digest).read_bytes()
        assert len(content) == size
        for start in range(0, size, 100_000):
            yield content[start : start + 100_000]
