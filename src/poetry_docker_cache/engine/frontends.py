"""Who reads the Dockerfile: the builder's own frontend, or one that its `# syntax` line fetches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from poetry_docker_cache.engine import faults
from poetry_docker_cache.engine.info import NEEDED_FRONTEND, dotted

if TYPE_CHECKING:
    from poetry_docker_cache.engine.info import EngineInfo


def frontend_note(engine: EngineInfo, syntax: str | None) -> str | None:
    """Say that the builder's own frontend is too old, and which one the build fetches instead.

    Where that cannot be fetched, BuildKit says so much later and not why it was asked for. Raises
    DockerCacheError where `# syntax` was turned off, and nothing can read the Dockerfile.
    """
    if engine.frontend is None or engine.frontend_is_enough:
        return None
    own = f"{_named(engine)} reads Dockerfiles of syntax {dotted(engine.frontend)} only"
    if syntax is None:
        raise faults.old_frontend(own, dotted(NEEDED_FRONTEND))
    return (
        f"{own}: the build fetches a newer frontend, {syntax}. Where that is out of reach, name "
        "your registry's copy by `syntax`, or build on Docker Engine 23.0 or newer."
    )


def _named(engine: EngineInfo) -> str:
    if engine.driver == "docker" and engine.engine is not None:
        return f"Docker Engine {dotted(engine.engine)}"
    return f"The builder {engine.builder!r}"
