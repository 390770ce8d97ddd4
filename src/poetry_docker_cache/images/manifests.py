"""Choose the manifest for a platform, in a registry or an OCI layout."""

from __future__ import annotations

import json
import platform as host
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from poetry_docker_cache.docker.platforms import host_platform
from poetry_docker_cache.images.image_errors import damaged, other_platform, several_platforms
from poetry_docker_cache.registry.base_image import Descriptor, platform_name, same_platform

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    ReadManifest = Callable[[str], Mapping[str, Any] | None]
    ReadBlob = Callable[[Descriptor], bytes]

_LARGEST_CONFIG = 1 << 24
_DEEPEST = 3
"""How many indexes may be inside each other."""
_REFERENCE_TYPE = "vnd.docker.reference.type"
"""An annotation of attestations, which are not images."""


@dataclass(frozen=True, kw_only=True)
class ChosenManifest:
    """The manifest of an image for one platform."""

    digest: str
    platform: str
    layers: tuple[Descriptor, ...]
    config: Mapping[str, Any]
    annotations: Mapping[str, str]


def choose(
    name: str,
    top: tuple[str, Mapping[str, Any]],
    platform: str | None,
    *,
    read_manifest: ReadManifest,
    read_blob: ReadBlob,
) -> ChosenManifest:
    """Return the manifest for a platform: by default, that of this machine or the only one.

    `top` is the digest and content of a manifest or an index. Raises DockerCacheError for an image
    that is damaged, or not for this platform.
    """
    wanted = platform or host_platform(host.machine())
    others: list[str] = []
    found: list[ChosenManifest] = []
    try:
        for digest, data in _manifests(top, wanted, others, read_manifest, _DEEPEST):
            image = _read(name, digest, data, read_blob)
            if wanted and same_platform(image.platform, wanted):
                return image
            others.append(image.platform)
            found.append(image)
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise damaged(name, "its manifest or configuration is not that of an image") from error
    if not platform and len(found) == len(others) == 1:
        return found[0]
    if not others:
        raise damaged(name, "its manifest is missing")
    known = sorted({*others})
    raise other_platform(name, platform, known) if platform else several_platforms(name, known)


def _manifests(
    top: tuple[str, Mapping[str, Any]],
    wanted: str | None,
    others: list[str],
    read_manifest: ReadManifest,
    depth: int,
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the digest and content of each manifest that may be for a platform.

    The platforms that do not fit are added to `others`; their manifests are not read. An engine may
    have an index without all of its manifests.
    """
    digest, data = top
    if "layers" in data:
        yield digest, data
        return
    images = [
        (entry["digest"], platform_name(entry.get("platform") or {}))
        for entry in data["manifests"]
        if _REFERENCE_TYPE not in (entry.get("annotations") or {})
    ]
    images = [(below, known) for below, known in images if not known.startswith("unknown/")]
    for below, known in dict.fromkeys(images) if depth else ():
        is_other = "/" in known and wanted and not same_platform(known, wanted)
        if is_other and len(images) > 1:
            others.append(known)
        elif (content := read_manifest(below)) is not None:
            yield from _manifests((below, content), wanted, others, read_manifest, depth - 1)


def _read(name: str, digest: str, data: Mapping[str, Any], read_blob: ReadBlob) -> ChosenManifest:
    described = Descriptor.of(data["config"])
    if described.size > _LARGEST_CONFIG:
        raise damaged(name, "its configuration is too large")
    config = json.loads(read_blob(described))
    layers = tuple(map(Descriptor.of, data["layers"]))
    if len(layers) != len(config["rootfs"]["diff_ids"]):
        raise damaged(name, "its manifest and its configuration differ")
    annotations = data.get("annotations") or {}
    return ChosenManifest(
        digest=digest,
        platform=platform_name(config),
        layers=layers,
        config=config,
        annotations={str(key): str(text) for key, text in annotations.items()},
    )
