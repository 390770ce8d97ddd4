"""What buildx's metadata says about an image: its size, and its base image. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

VARIABLE = "BUILDX_METADATA_PROVENANCE"
"""The variable of buildx that sets how much provenance its metadata file has."""
_KEY = "buildx.build.provenance"
_DETAILS = "https://mobyproject.org/buildkit@v1#metadata"
_ONLY_MAX = ("buildConfig", "metadata")
"""What `max` adds to the provenance."""


def image_size(metadata: Mapping[str, Any]) -> int | None:
    """Return the bytes of the compressed layers, all platforms together; None if unknown."""
    sizes: dict[str, int] = {}
    for provenance in _provenances(metadata):
        layers = _layers(provenance)
        if not layers:
            return None
        sizes |= layers
    return sum(sizes.values()) or None


def image_digest(metadata: Mapping[str, Any], image: str) -> str | None:
    """Return the digest of an image that the build used; None if unknown."""
    repository, _, tag = image.partition("@")[0].rpartition(":")
    purl = f"pkg:docker/{repository.removeprefix('docker.io/').removeprefix('library/')}@{tag}"
    for provenance in _provenances(metadata):
        for material in _list(provenance.get("materials")):
            if str(material.get("uri", "")).partition("?")[0] == purl:
                digest = material.get("digest")
                found = digest.get("sha256") if isinstance(digest, dict) else None
                return f"sha256:{found}" if isinstance(found, str) else None
    return None


def without_details(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metadata as buildx writes it by default: with the minimal provenance."""
    return {
        key: {name: part for name, part in value.items() if name not in _ONLY_MAX}
        if key.startswith(_KEY) and isinstance(value, dict)
        else value
        for key, value in metadata.items()
    }


def _provenances(metadata: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the provenance of each platform."""
    for key, value in metadata.items():
        if key.startswith(_KEY) and isinstance(value, dict):
            yield value


def _layers(provenance: Mapping[str, Any]) -> dict[str, int]:
    """Return the sizes of the layers by digest: those of the last step's result."""
    steps = _list(_inside(provenance, "buildConfig").get("llbDefinition"))
    known = _inside(_inside(_inside(provenance, "metadata"), _DETAILS), "layers")
    inputs = steps[-1].get("inputs") if steps else None
    chains = known.get(str(inputs[0])) if isinstance(inputs, list) and inputs else None
    found: dict[str, int] = {}
    for chain in chains if isinstance(chains, list) else ():
        for layer in _list(chain):
            if isinstance(layer.get("size"), int):
                found[str(layer.get("digest"))] = layer["size"]
    return found


def _inside(value: Mapping[str, Any], key: str) -> dict[str, Any]:
    found = value.get(key)
    return found if isinstance(found, dict) else {}


def _list(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
