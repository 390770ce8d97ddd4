"""The auth secret of a build: what of Poetry's credentials it needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from poetry_docker_cache.credentials import collect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from poetry_docker_cache.commands.preparing import Prepared
    from poetry_docker_cache.credentials import AuthSecret


def secret_of(images: Sequence[Prepared]) -> AuthSecret:
    """The credentials that the builds of these images need; raises what `collect` does."""
    sources = tuple(dict.fromkeys(name for it in images for name in it.sources))
    addresses = tuple(sorted({address for it in images for address in it.addresses}))
    return collect(images[0].poetry, sources, addresses)
