"""A tar archive of an image that is an OCI layout and, for one platform, a Docker archive, too.

`docker load`, `podman load` and tools for OCI archives read it. It is written as a stream.
"""

from __future__ import annotations

import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

from poetry_docker_cache.docker.image_names import normalised
from poetry_docker_cache.no_engine.image_config import make_index
from poetry_docker_cache.registry.media_types import OCI_INDEX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import BinaryIO

    from poetry_docker_cache.no_engine.image_config import Document, Image
    from poetry_docker_cache.registry.base_image import Descriptor


def write_archive(
    output: BinaryIO,
    images: Sequence[Image],
    tags: Sequence[str],
    layer: Callable[[Descriptor], Iterable[bytes]],
) -> None:
    """Write an image for one or several platforms; `layer` yields the content of a layer.

    The same image and tags give the same bytes.
    """
    top = images[0].manifest if len(images) == 1 else make_index(images)
    documents = [doc for image in images for doc in (image.config, image.manifest)]
    documents += [top] if len(images) > 1 else []
    with tarfile.open(fileobj=output, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        _add(archive, "oci-layout", _text({"imageLayoutVersion": "1.0.0"}))
        _add(archive, "index.json", _text(_index(top, images, tags)))
        if len(images) == 1:
            _add(archive, "manifest.json", _text(_docker_manifest(images[0], tags)))
        for document in documents:
            _add(archive, _place(document.descriptor.digest), document.body)
        blobs = {blob.digest: blob for image in images for blob in image.layers}
        for blob in blobs.values():
            member = _member(_place(blob.digest), blob.size)
            archive.addfile(member, _Stream(layer(blob)))


def _index(top: Document, images: Sequence[Image], tags: Sequence[str]) -> dict[str, Any]:
    """Return the index of the layout: an entry for each tag, as Docker and BuildKit write it."""
    entry: dict[str, Any] = top.descriptor.json()
    if len(images) == 1:
        parts = images[0].platform.split("/")
        entry["platform"] = dict(zip(("os", "architecture", "variant"), parts, strict=False))
    names = [
        {
            "annotations": {
                "io.containerd.image.name": normalised(tag),
                "org.opencontainers.image.ref.name": normalised(tag).rpartition(":")[2],
            }
        }
        for tag in tags
    ]
    return {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [{**entry, **name} for name in names or [{}]],
    }


def _docker_manifest(image: Image, tags: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {
            "Config": _place(image.config.descriptor.digest),
            "RepoTags": list(tags) or None,
            "Layers": [_place(layer.digest) for layer in image.layers],
        }
    ]


def _place(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _text(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o644
    return member


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    archive.addfile(_member(name, len(content)), io.BytesIO(content))


class _Stream(io.RawIOBase):
    """Chunks as a file."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks: Iterator[bytes] = iter(chunks)
        self._rest = b""

    def read(self, size: int = -1, /) -> bytes:
        """Return exactly this much, less only at the end."""
        parts = [self._rest]
        found = len(self._rest)
        while found < size and (chunk := next(self._chunks, b"")):
            parts.append(chunk)
            found += len(chunk)
        whole = b"".join(parts)
        self._rest = whole[size:]
        return whole[:size]
