"""Attach the SBOM to a pushed image, for each of its platforms."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from poetry_docker_cache.docker.platforms import MACHINES
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.registry.base_image import Descriptor
from poetry_docker_cache.registry.referrers import attach
from poetry_docker_cache.registry.registry_client import Reference
from poetry_docker_cache.sbom.cyclonedx_document import MEDIA_TYPE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from poetry_docker_cache.commands.early_sboms import EarlySboms
    from poetry_docker_cache.registry.registries import Registries
    from poetry_docker_cache.registry.registry_client import Manifest, Registry


def attach_sbom(
    sboms: EarlySboms,
    tags: Sequence[str],
    digest: str,
    registries: Registries,
    *,
    subjects: Mapping[str, Descriptor] | None = None,
) -> list[str]:
    """Attach the SBOM of each platform, unless it is attached already; return notes on failures.

    `digest` is that of the pushed index or manifest, `subjects` are the manifests by platform; they
    are read if they are not given. The image has been pushed, so no failure is an error.
    """
    notes = []
    documents: dict[str, bytes] = {}
    places = {(each.host, each.repository): None for each in map(Reference.parse, tags)}
    for host, repository in places:
        try:
            registry = registries.of(host)
            found = subjects or dict(_subjects(registry, repository, digest))
            for platform, subject in found.items():
                if platform not in documents:
                    documents[platform] = sboms.of(platform)
                attach(
                    registry,
                    repository,
                    subject,
                    artifact_type=MEDIA_TYPE,
                    media_type=MEDIA_TYPE,
                    body=documents[platform],
                )
        except DockerCacheError as error:  # noqa: PERF203  # a few repositories
            notes.append(failed(f"{error.problem} {error.fix}"))
        except Exception as error:  # noqa: BLE001  # must not fail a build that has succeeded
            name = type(error).__name__
            notes.append(failed(f"This is a bug in poetry-docker-cache: {name}: {error}"))
    return notes


def failed(why: str) -> str:
    """Return the note about a failure."""
    return f"The image was pushed, but its SBOM was not attached. {why}".rstrip()


def _subjects(registry: Registry, repository: str, digest: str) -> Iterator[tuple[str, Descriptor]]:
    """Yield the manifests of an image that the plugin can describe, by platform."""
    manifest = registry.manifest(repository, digest)
    if manifest is None:
        raise DockerCacheError(f"{registry.host}/{repository} does not have {digest}.")
    described = Descriptor(
        media_type=manifest.media_type, digest=manifest.digest, size=len(manifest.body)
    )
    if manifest.is_index:
        # Attestations are listed for the platform unknown/unknown.
        found = [
            (_platform(entry.get("platform") or {}), Descriptor.of(entry))
            for entry in manifest.data["manifests"]
        ]
    else:
        found = [(_platform(_config(registry, repository, manifest)), described)]
    yield from (each for each in found if each[0] in MACHINES)


def _config(registry: Registry, repository: str, manifest: Manifest) -> dict[str, Any]:
    config = Descriptor.of(manifest.data["config"])
    body = b"".join(registry.blob(repository, config.digest, config.size))
    data: dict[str, Any] = json.loads(body)
    return data


def _platform(data: Mapping[str, Any]) -> str:
    """Return the usual name of a platform: two of them have only one variant."""
    name = "/".join(filter(None, (data.get(key) for key in ("os", "architecture", "variant"))))
    usual = {"linux/arm64/v8": "linux/arm64", "linux/amd64/v1": "linux/amd64"}
    return usual.get(name, name)
