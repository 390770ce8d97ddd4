"""SBOMs that are made while their image is built, since that takes a part of a second."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from poetry_docker_cache.commands.background import Background

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from poetry_docker_cache.commands.earlier_licences import EarlierImage
    from poetry_docker_cache.commands.package_licences import PackageLicences
    from poetry_docker_cache.commands.planned_image import PlannedImage
    from poetry_docker_cache.no_engine.package_servers import PackageServers

    Licences = Callable[[], PackageLicences]
    """Waits for the sources of the packages."""

_DAY = 24 * 60 * 60.0
"""Longer than any build."""


def start_licences(
    images: Sequence[PlannedImage],
    servers: PackageServers | None = None,
    earlier: Iterable[EarlierImage] = (),
) -> Licences:
    """Find the licences of all images at once, so that each is requested once.

    `servers` are those that the build itself uses, if it does. `earlier` images may have SBOMs.
    """

    def find() -> PackageLicences:
        # Imported only here, so that a build starts sooner.
        from poetry_docker_cache.commands.package_licences import find_licences  # noqa: PLC0415

        return find_licences(images, servers, earlier=earlier)

    return Background(_DAY).start(find)


class EarlySboms:
    """The SBOMs of an image, for the platforms that it is expected to be built for."""

    def __init__(self, image: PlannedImage, platforms: Iterable[str], licences: Licences) -> None:
        self._image = image
        self._expected = tuple(platforms)
        self._licences = licences
        self._made = Background(_DAY).start(self._make)

    @property
    def note(self) -> str:
        """Why licences are missing; empty if none are."""
        return self._licences().note

    def of(self, platform: str) -> bytes:
        """Return the SBOM for a platform."""
        from poetry_docker_cache.commands.image_sbom import sbom_of  # noqa: PLC0415  # as below

        return self._made().get(platform) or sbom_of(self._image, platform, self._licences())

    def _make(self) -> dict[str, bytes]:
        # Imported only here, so that a build starts sooner.
        from poetry_docker_cache.commands.image_sbom import sbom_of  # noqa: PLC0415

        made = {}
        for platform in self._expected:
            with contextlib.suppress(Exception):  # which occurs again when it is needed
                made[platform] = sbom_of(self._image, platform, self._licences())
        return made
