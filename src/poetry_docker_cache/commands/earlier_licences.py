"""Read licences from the SBOMs that are attached to earlier images.

A machine that has built nothing yet needs a few requests to the registry for them, instead of two
requests to the index for each package.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from poetry_docker_cache.commands.background import Background
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.registry.referrers import find
from poetry_docker_cache.sbom.cyclonedx_document import MEDIA_TYPE
from poetry_docker_cache.sbom.licences import licences_in_document

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from poetry_docker_cache.registry.registry_client import Registry

    EarlierImage = tuple[Registry, str, str]
    """An image for one platform: its registry, repository and digest."""

_PATIENCE = 5.0
"""How many seconds all documents may take."""
_MOST = 3
"""How many documents of an image are read; other tools may attach more."""
_LARGEST = 8 << 20


def read_earlier_licences(
    images: Iterable[EarlierImage], wanted: Collection[str]
) -> dict[str, tuple[str, ...]]:
    """Return the licences of wanted wheels by their hash. What cannot be read is left out."""
    found: dict[str, tuple[str, ...]] = {}

    def read() -> None:
        for registry, repository, digest in dict.fromkeys(images):
            if all(wheel in found for wheel in wanted):
                return
            with contextlib.suppress(DockerCacheError):  # another registry may answer
                documents = find(
                    registry, repository, digest, MEDIA_TYPE, most=_MOST, largest=_LARGEST
                )
                for _, body in documents:
                    found.update(licences_in_document(body))

    with contextlib.suppress(Exception):  # the sources have the licences, too
        Background(_PATIENCE).start(read)()
    return {wheel: found[wheel] for wheel in wanted if wheel in found}
