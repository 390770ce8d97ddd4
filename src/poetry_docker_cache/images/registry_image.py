"""An image in a registry."""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from poetry_docker_cache.images.image_errors import missing
from poetry_docker_cache.images.manifests import choose
from poetry_docker_cache.images.stored_image import StoredImage
from poetry_docker_cache.registry.layer_stream import BUFFER, Chunks
from poetry_docker_cache.registry.registry_client import Reference

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from poetry_docker_cache.registry.base_image import Descriptor, Source


def read_registry_image(registry: Source, name: str, platform: str | None) -> StoredImage:
    """Read the manifest and configuration of an image; its layers are read when asked for.

    Raises DockerCacheError for an image that does not exist, or not for this platform, and for a
    registry that cannot be used.
    """
    reference = Reference.parse(name)
    repository = reference.repository
    top = registry.manifest(repository, reference.target)
    if top is None:
        raise missing(name, "in its registry")

    def read_manifest(digest: str) -> Mapping[str, Any] | None:
        found = registry.manifest(repository, digest)
        return None if found is None else found.data

    def chunks(blob: Descriptor) -> Iterator[bytes]:
        return registry.blob(repository, blob.digest, blob.size)

    chosen = choose(
        name,
        (top.digest, top.data),
        platform,
        read_manifest=read_manifest,
        read_blob=lambda blob: b"".join(chunks(blob)),
    )

    def open_layers() -> Iterator[contextlib.AbstractContextManager[BinaryIO]]:
        for layer in chosen.layers:
            file = io.BufferedReader(Chunks(chunks(layer)), BUFFER)
            yield contextlib.closing(cast("BinaryIO", file))

    return StoredImage(
        name=name,
        place="registry",
        platform=chosen.platform,
        digest=chosen.digest,
        config=chosen.config,
        annotations=chosen.annotations,
        stored_sizes=tuple(layer.size for layer in chosen.layers),
        open_layers=open_layers,
    )
