"""Made-up base images in an OCI layout."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from oci_layouts import Layout

GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


def tar(files: Mapping[str, bytes | str | None], hard: Mapping[str, str] | None = None) -> bytes:
    """Write an archive: bytes are files, texts are links, None is a folder; then hard links."""
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w") as archive:
        for path, content in files.items():
            member = tarfile.TarInfo(f"./{path}")
            member.mode = 0o755
            if content is None:
                member.type = tarfile.DIRTYPE
                archive.addfile(member)
            elif isinstance(content, str):
                member.type, member.linkname = tarfile.SYMTYPE, content
                archive.addfile(member)
            else:
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        for path, target in (hard or {}).items():
            member = tarfile.TarInfo(f"./{path}")
            member.type, member.linkname = tarfile.LNKTYPE, f"./{target}"
            archive.addfile(member)
    return output.getvalue()


def put_image(  # noqa: PLR0913  # what an image consists of
    layout: Layout,
    *layers: bytes,
    config: Mapping[str, Any] | None = None,
    platform: Sequence[str] = ("linux", "amd64"),
    media_type: str = MANIFEST,
    layer_type: str = GZIP,
    extra: Mapping[str, Any] | None = None,
) -> str:
    """Add an image of these archives; return the digest of its manifest."""
    names = ("os", "architecture", "variant")
    described = dict(zip(names, platform, strict=False))
    body = {
        **described,
        "config": dict(config or {}),
        "rootfs": {
            "type": "layers",
            "diff_ids": [f"sha256:{index}" for index in range(len(layers))],
        },
        **(extra or {}),
    }
    content = json.dumps(body).encode()
    blobs = [gzip.compress(layer, mtime=0) for layer in layers]
    manifest = {
        "mediaType": media_type,
        "config": {"mediaType": "c", "digest": layout.put(content), "size": len(content)},
        "layers": [
            {"mediaType": layer_type, "digest": layout.put(blob), "size": len(blob)}
            for blob in blobs
        ],
    }
    return layout.put(json.dumps(manifest).encode())


def put_index(layout: Layout, images: Mapping[str, str], media_type: str = INDEX) -> str:
    """Add an index of manifests by platform."""
    names = ("os", "architecture", "variant")
    manifests = [
        {"digest": digest, "platform": dict(zip(names, name.split("/"), strict=False))}
        for name, digest in images.items()
    ]
    return layout.put(json.dumps({"mediaType": media_type, "manifests": manifests}).encode())
