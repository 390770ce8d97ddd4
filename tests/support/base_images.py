"""Made-up base images in an OCI layout."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from oci_layouts import Layout

GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


def tar(
    files: Mapping[str, bytes | str | None],
    hard: Mapping[str, str] | None = None,
    *,
    start: str = "./",
) -> bytes:
    """Write an archive: bytes are files, texts are links, None is a folder; then hard links."""
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w") as archive:
        for path, content in files.items():
            member = tarfile.TarInfo(f"{start}{path}")
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


_gzip = partial(gzip.compress, mtime=0)


def put_image(  # noqa: PLR0913  # what an image consists of
    layout: Layout,
    *layers: bytes,
    config: Mapping[str, Any] | None = None,
    platform: Sequence[str] = ("linux", "amd64"),
    media_type: str = MANIFEST,
    layer_type: str = GZIP,
    compress: Callable[[bytes], bytes] = _gzip,
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
            "diff_ids": [_digest(layer) for layer in layers],
        },
        **(extra or {}),
    }
    content = json.dumps(body).encode()
    blobs = [compress(layer) for layer in layers]
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


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def oci_archive(layout: Layout, top: str) -> bytes:
    """Write an image as an archive with an OCI layout."""
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [{"digest": top}]}
    blobs = {
        str(file.relative_to(layout.folder)): file.read_bytes()
        for file in sorted(layout.folder.rglob("blobs/sha256/*"))
    }
    return plain_tar({**blobs, "index.json": json.dumps(index).encode()})


def docker_archive(config: Mapping[str, Any], *layers: bytes) -> bytes:
    """Write an image as engines before Docker 25 save it: a layer like the first is a link."""
    body = json.dumps(
        {**config, "rootfs": {"type": "layers", "diff_ids": [_digest(layer) for layer in layers]}}
    ).encode()
    paths = [f"{number}/layer.tar" for number in range(len(layers))]
    files: dict[str, bytes | str | None] = {
        path: f"../{paths[0]}" if number and layer == layers[0] else layer
        for number, (path, layer) in enumerate(zip(paths, layers, strict=True))
    }
    described = [{"Config": "config.json", "RepoTags": ["shop:1"], "Layers": paths}]
    return plain_tar(
        {**files, "config.json": body, "manifest.json": json.dumps(described).encode()}
    )


def plain_tar(files: Mapping[str, bytes | str | None]) -> bytes:
    """Write an archive whose names do not begin with `./`."""
    return tar(files, start="")
