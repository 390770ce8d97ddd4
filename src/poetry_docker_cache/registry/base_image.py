"""A base image in a registry: its manifest and configuration for one platform."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.registry.media_types import INDEXES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_LARGEST_CONFIG = 1 << 24


class ManifestData(Protocol):
    """A manifest or an index."""

    @property
    def media_type(self) -> str:
        """The media type, as the registry says."""

    @property
    def digest(self) -> str:
        """The digest of its bytes."""

    @property
    def data(self) -> dict[str, Any]:
        """The content."""


class Source(Protocol):
    """A registry that holds the base image."""

    def manifest(self, repository: str, target: str) -> ManifestData | None:
        """Return a manifest by its tag or digest; None without it."""

    def blob(self, repository: str, digest: str, size: int) -> Iterator[bytes]:
        """Yield the content of a blob, and verify it."""


@dataclass(frozen=True, kw_only=True)
class Descriptor:
    """A blob of an image."""

    media_type: str
    digest: str
    size: int

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Descriptor:
        """Read a descriptor of a manifest."""
        return cls(media_type=data["mediaType"], digest=data["digest"], size=data["size"])

    def json(self) -> dict[str, Any]:
        """Return the descriptor for a manifest."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size}


@dataclass(frozen=True, kw_only=True)
class BaseImage:
    """The base image for one platform."""

    name: str
    """The reference, for messages."""
    repository: str
    platform: str
    digest: str
    """The digest of the platform's manifest."""
    named_digest: str
    """The digest that the name refers to: that of an index, if there is one."""
    config: Mapping[str, Any]
    layers: tuple[Descriptor, ...]

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables of its configuration."""
        pairs = (self.config.get("config") or {}).get("Env") or ()
        return {name: value for name, _, value in (text.partition("=") for text in pairs)}


def read_base(
    source: Source, repository: str, target: str, platform: str, *, name: str
) -> BaseImage:
    """Read the manifest and the configuration for a platform; `name` is for messages.

    Raises DockerCacheError for a base that does not exist, or not for this platform.
    """
    manifest = source.manifest(repository, target)
    if manifest is None:
        raise DockerCacheError(
            f"The base image {name} does not exist.",
            fix="Set `base-image` in [tool.poetry-docker-cache] to an existing image.",
        )
    named_digest = manifest.digest
    if manifest.media_type in INDEXES:
        digest = _choose(manifest.data, platform, name)
        manifest = source.manifest(repository, digest)
        if manifest is None:
            raise _damaged(name, "its manifest is missing")
    try:
        described = Descriptor.of(manifest.data["config"])
        layers = tuple(map(Descriptor.of, manifest.data["layers"]))
    except (KeyError, TypeError) as error:
        raise _damaged(name, "its manifest is not one of an image") from error
    if described.size > _LARGEST_CONFIG:
        raise _damaged(name, "its configuration is too large")
    body = b"".join(source.blob(repository, described.digest, described.size))
    try:
        config = json.loads(body)
        found = _platform_name(config)
        is_complete = len(config["rootfs"]["diff_ids"]) == len(layers)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(name, "its configuration is not valid") from error
    if not is_complete:
        raise _damaged(name, "its manifest and its configuration differ")
    if not _fits(found, platform):
        raise _missing_platform(name, platform, [found])
    return BaseImage(
        name=name,
        repository=repository,
        platform=platform,
        digest=manifest.digest,
        named_digest=named_digest,
        config=config,
        layers=layers,
    )


def _choose(index: Mapping[str, Any], platform: str, name: str) -> str:
    """Return the digest of the manifest for a platform."""
    found: dict[str, str] = {}
    for entry in index.get("manifests") or ():
        described = _platform_name(entry.get("platform") or {})
        # Attestations are listed for the platform unknown/unknown.
        if not described.startswith("unknown/"):
            found.setdefault(described, entry["digest"])
    fitting = next((digest for known, digest in found.items() if _fits(known, platform)), None)
    if fitting is None:
        raise _missing_platform(name, platform, sorted(found))
    return str(fitting)


def _platform_name(data: Mapping[str, Any]) -> str:
    parts = (data.get("os", "linux"), data.get("architecture", ""), data.get("variant", ""))
    return "/".join(filter(None, parts))


def _fits(found: str, wanted: str) -> bool:
    """Compare two platforms; arm64 and amd64 may have their only usual variant."""
    usual = {"linux/arm64/v8": "linux/arm64", "linux/amd64/v1": "linux/amd64"}
    return usual.get(found, found) == usual.get(wanted, wanted)


def _missing_platform(name: str, platform: str, found: list[str]) -> DockerCacheError:
    return DockerCacheError(
        f"The base image {name} does not exist for {platform}, only for {', '.join(found)}.",
        fix=f"Build for one of these, such as `--platform {found[0]}`, or set another `base-image`."
        if found
        else "Set another `base-image`.",
    )


def _damaged(name: str, why: str) -> DockerCacheError:
    return DockerCacheError(
        f"The base image {name} cannot be read: {why}.", fix="Push it again, or set another one."
    )
