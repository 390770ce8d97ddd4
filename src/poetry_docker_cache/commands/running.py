"""Runs BuildKit, and once more where it failed for what is no fault of the build's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from poetry_docker_cache.engine import run
from poetry_docker_cache.engine.history import lost_a_layer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from poetry_docker_cache.engine import EngineInfo

_FAILED = 1
"""buildx's status where the build failed, rather than what it was told, or by a signal."""


def run_build(  # noqa: PLR0913  # the command, and what it is run with
    argv: Sequence[str],
    *,
    environment: Mapping[str, str],
    engine: EngineInfo,
    docker: Sequence[str],
    note: Callable[[str], None],
    images: int = 1,
) -> int:
    """Run a command that builds so many images, and give its status; signals end it, not us.

    `docker` is how the client is called besides. Raises DockerCacheError where the command cannot
    be started.
    """
    status = run(argv, env=environment)
    unpacks = engine.driver == "docker" and engine.store == "containerd"
    if status != _FAILED or not unpacks or not lost_a_layer(docker, engine.builder, builds=images):
        return status
    note(
        "The engine threw away layers of the older image of this name while it unpacked the new "
        "one on them (moby/buildkit#6521): building again, all is cached."
    )
    return run(argv, env=environment)
