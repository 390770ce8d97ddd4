"""Engine descriptions as `probe` returns them, one for each kind; none is running."""

from __future__ import annotations

from dataclasses import replace

from poetry_docker_cache.buildx.engine_info import EngineInfo

CONTAINERD = EngineInfo(
    docker="/usr/bin/docker",
    buildx=(0, 29, 1),
    builder="default",
    driver="docker",
    engine=(28, 5, 2),
    store="containerd",
    frontend=(1, 19),
)
CLASSIC = replace(CONTAINERD, store="classic")
CONTAINER = replace(CLASSIC, driver="docker-container", builder="big")
"""A builder in a container, next to an engine with the classic store."""
REMOTE = replace(CONTAINER, driver="remote", engine=None, store=None)
"""A remote builder, without a local engine."""
