"""The registries of a build, one client for each host."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from poetry_docker_cache.registry.registry_client import Registry
from poetry_docker_cache.registry.registry_session import RegistrySession

if TYPE_CHECKING:
    from typing_extensions import Self

    from poetry_docker_cache.registry.registry_client import Progress


class Registries:
    """Clients that are closed at the end of a `with` block."""

    def __init__(self, progress: Progress | None = None) -> None:
        self._progress = progress
        self._stack = contextlib.ExitStack()
        self._known: dict[str, Registry] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Close all connections."""
        self._stack.close()

    def of(self, host: str) -> Registry:
        """Return the client of a host. Not for several threads at once."""
        if host not in self._known:
            self._known[host] = self._stack.enter_context(
                Registry(RegistrySession(host), self._progress)
            )
        return self._known[host]
