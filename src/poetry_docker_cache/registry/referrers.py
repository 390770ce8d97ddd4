"""Documents attached to images: the referrers of the OCI distribution specification 1.1.

A registry without the referrers API lists them in an index, whose tag is made from the digest of
the image.
"""

from __future__ import annotations

import functools
import io
import itertools
import json
from typing import TYPE_CHECKING, Any

from poetry_docker_cache.docker import image_names
from poetry_docker_cache.registry.base_image import Descriptor
from poetry_docker_cache.registry.media_types import OCI_EMPTY, OCI_INDEX, OCI_MANIFEST
from poetry_docker_cache.registry.registry_client import digest_of
from poetry_docker_cache.registry.registry_errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from poetry_docker_cache.registry.registry_client import Manifest, Registry

_EMPTY = b"{}"
_LONGEST_ALGORITHM, _LONGEST_VALUE = 32, 64


def attach(  # noqa: PLR0913  # the document, and where it is attached
    registry: Registry,
    repository: str,
    subject: Descriptor,
    *,
    artifact_type: str,
    media_type: str,
    body: bytes,
) -> bool:
    """Attach a document to a manifest in the same repository; return whether it was missing.

    The same document always has the same digest, so it is attached only once. Raises RegistryError.
    """
    config = _described(OCI_EMPTY, _EMPTY)
    layer = _described(media_type, body)
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": artifact_type,
            "config": config.json(),
            "layers": [layer.json()],
            "subject": subject.json(),
        }
    )
    described = _described(OCI_MANIFEST, manifest)
    listed = registry.referrers(repository, subject.digest, artifact_type)
    index = None if listed is not None else _tagged(registry, repository, subject.digest)
    known = listed if listed is not None else _entries(index)
    if any(entry.get("digest") == described.digest for entry in known):
        return False
    if index is not None and not index.is_index:
        raise RegistryError(
            f"The tag {_tag(subject.digest)} of {registry.host}/{repository} is an image, but lists"
            " what is attached to another image.",
            fix="Remove the tag.",
        )
    for blob, content in ((config, _EMPTY), (layer, body)):
        opener = functools.partial(io.BytesIO, content)
        registry.upload(repository, blob.digest, blob.size, opener)
    registry.put_manifest(repository, described.digest, manifest, OCI_MANIFEST)
    if listed is None:
        # Another push may replace the index at the same time. The next build then adds this again.
        entries = [*known, {**described.json(), "artifactType": artifact_type}]
        data = {**(index.data if index else _EMPTY_INDEX), "manifests": entries}
        media_type = index.media_type if index else OCI_INDEX
        registry.put_manifest(repository, _tag(subject.digest), _json(data), media_type)
    return True


def find(  # noqa: PLR0913  # which documents, and how many
    registry: Registry,
    repository: str,
    digest: str,
    artifact_type: str,
    *,
    most: int | None = None,
    largest: int = 64 << 20,
) -> list[tuple[Descriptor, bytes]]:
    """Return the documents of a type that are attached to a manifest, each with its manifest.

    Only the first `most` are read, and none with more than `largest` bytes. Raises RegistryError.
    """
    listed = registry.referrers(repository, digest, artifact_type)
    if listed is None:
        listed = _entries(_tagged(registry, repository, digest))
    found = []
    for described in itertools.islice(_fitting(listed, artifact_type), most):
        body = _document(registry, repository, described, largest)
        if body is not None:
            found.append((described, body))
    return found


def _fitting(entries: list[dict[str, Any]], artifact_type: str) -> Iterator[Descriptor]:
    """Yield the valid descriptors of a type; a registry may ignore the filter."""
    for entry in entries:
        if entry.get("artifactType") == artifact_type and (described := _valid(entry)):
            yield described


def _valid(entry: Mapping[str, Any]) -> Descriptor | None:
    """Read a descriptor that anyone may have written; None if it is not valid."""
    try:
        found = Descriptor.of(entry)
    except (LookupError, TypeError):
        return None
    is_digest = image_names.is_reference(f"x@{found.digest}")
    return found if is_digest and isinstance(found.size, int) else None


def _document(
    registry: Registry, repository: str, described: Descriptor, largest: int
) -> bytes | None:
    """Return the document of a manifest; None if it is missing, or not one document."""
    manifest = registry.manifest(repository, described.digest)
    layers = manifest.data.get("layers") if manifest else None
    layer = _valid(layers[0]) if isinstance(layers, list) and len(layers) == 1 else None
    if layer is None or layer.size > largest:
        return None
    return b"".join(registry.blob(repository, layer.digest, layer.size))


def _tagged(registry: Registry, repository: str, digest: str) -> Manifest | None:
    return registry.manifest(repository, _tag(digest))


def _tag(digest: str) -> str:
    """Return the tag that lists what is attached to a manifest.

    >>> _tag("sha256:12ab")
    'sha256-12ab'
    """
    algorithm, _, value = digest.partition(":")
    return f"{algorithm[:_LONGEST_ALGORITHM]}-{value[:_LONGEST_VALUE]}"


def _entries(index: Manifest | None) -> list[dict[str, Any]]:
    found = index.data.get("manifests") if index else None
    return [entry for entry in found or () if isinstance(entry, dict)]


def _described(media_type: str, body: bytes) -> Descriptor:
    return Descriptor(media_type=media_type, digest=digest_of(body), size=len(body))


def _json(data: Mapping[str, Any]) -> bytes:
    return json.dumps(data, separators=(",", ":")).encode()


_EMPTY_INDEX = {"schemaVersion": 2, "mediaType": OCI_INDEX}
