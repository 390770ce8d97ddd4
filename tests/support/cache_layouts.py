"""Write cache folders as BuildKit does: blobs by digest, below a manifest or an index."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_OCI = "application/vnd.oci.image"


def write_layout(folder: Path, layers: Iterable[str], *, as_image: bool = True) -> None:
    """Add a cache with these layers to a folder, as BuildKit does.

    Since BuildKit 0.21 a cache is an image manifest; before, it was an index whose last entry is
    the configuration.
    """
    parts = [_blob(folder, text, f"{_OCI}.layer.v1.tar+gzip") for text in layers]
    config = _blob(folder, f"config of {parts}", "application/vnd.buildkit.cacheconfig.v0")
    kind = f"{_OCI}.manifest.v1+json" if as_image else f"{_OCI}.index.v1+json"
    manifest = (
        {"mediaType": kind, "config": config, "layers": parts}
        if as_image
        else {"mediaType": kind, "manifests": [*parts, config]}
    )
    entry = _blob(folder, json.dumps(manifest), kind)
    entry["annotations"] = {"org.opencontainers.image.ref.name": "latest"}
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (folder / "ingest").mkdir(exist_ok=True)


def layers_of(folder: Path) -> set[str]:
    """Return the layers of a cache written by `write_layout`, read from its blobs."""
    index = json.loads((folder / "index.json").read_text())
    (entry,) = index["manifests"]
    manifest = json.loads(_path(folder, entry["digest"]).read_text())
    named = manifest.get("layers") or manifest["manifests"][:-1]
    return {_path(folder, layer["digest"]).read_text() for layer in named}


def _path(folder: Path, digest: str) -> Path:
    return folder / "blobs" / "sha256" / digest.removeprefix("sha256:")


def _blob(folder: Path, text: str, kind: str) -> dict[str, object]:
    digest = f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
    path = _path(folder, digest)
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():  # BuildKit does not rewrite existing blobs
        path.write_text(text)
    return {"mediaType": kind, "digest": digest, "size": len(text.encode())}
