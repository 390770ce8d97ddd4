"""Why an image cannot be read, each with a fix."""

from __future__ import annotations

from typing import TYPE_CHECKING

from poetry_docker_cache.errors import DockerCacheError

if TYPE_CHECKING:
    from collections.abc import Sequence


def missing(name: str, where: str, fix: str = "") -> DockerCacheError:
    """Return the error for an image that does not exist."""
    return DockerCacheError(
        f"There is no image {name} {where}.",
        fix=fix or "Check the name, or build it: poetry docker build",
    )


def other_platform(name: str, wanted: str, found: Sequence[str]) -> DockerCacheError:
    """Return the error for an image that does not exist for a platform."""
    return DockerCacheError(
        f"The image {name} does not exist for {wanted}, only for {', '.join(found)}.",
        fix=f"Choose a platform that it has, such as `--platform {found[0]}`, or build it:"
        f" poetry docker build --platform {wanted}",
    )


def several_platforms(name: str, found: Sequence[str]) -> DockerCacheError:
    """Return the error for an image without a platform of this machine."""
    return DockerCacheError(
        f"The image {name} exists for {', '.join(found)}, but not for this machine.",
        fix=f"Choose one: --platform {found[0]}",
    )


def damaged(name: str, why: str) -> DockerCacheError:
    """Return the error for an image whose content is not what it should be."""
    return DockerCacheError(
        f"The image {name} is damaged: {why}.", fix="Try again, or build the image again."
    )
