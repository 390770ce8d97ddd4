"""SBOMs that are made while their image is built, since that takes a part of a second."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from poetry_docker_cache.commands.background import Background

if TYPE_CHECKING:
    from collections.abc import Iterable

    from poetry_docker_cache.commands.planned_image import PlannedImage

_DAY = 24 * 60 * 60.0
"""Longer than any build."""


class EarlySboms:
    """The SBOMs of an image, for the platforms that it is expected to be built for."""

    def __init__(self, image: PlannedImage, platforms: Iterable[str]) -> None:
        self._image = image
        self._expected = tuple(platforms)
        self._made = Background(_DAY).start(self._make)

    def of(self, platform: str) -> bytes:
        """Return the SBOM for a platform."""
        from poetry_docker_cache.commands.image_sbom import sbom_of  # noqa: PLC0415  # as below

        return self._made().get(platform) or sbom_of(self._image, platform)

    def _make(self) -> dict[str, bytes]:
        # Imported only here, so that a build starts sooner.
        from poetry_docker_cache.commands.image_sbom import sbom_of  # noqa: PLC0415

        made = {}
        for platform in self._expected:
            with contextlib.suppress(Exception):  # which occurs again when it is needed
                made[platform] = sbom_of(self._image, platform)
        return made
