"""What can be wrong with a container engine, each with what to do about it."""

from __future__ import annotations

import re

from poetry_docker_cache.errors import DockerCacheError

INSTALL_BUILDX = (
    "Install the docker-buildx-plugin package of Docker (docker-buildx on Debian and Ubuntu), "
    "then check with: docker buildx version"
)


def unreachable(message: str) -> DockerCacheError:
    """Say that no engine answers, in the client's own words, and what to do about it."""
    words = shortened(message)
    if "permission denied" in words.lower() and "ssh" not in message.lower():
        return DockerCacheError(
            f"This user may not talk to the Docker engine, so nothing can be built: {words}",
            fix='Join its group (sudo usermod -aG docker "$USER", then log in again) or use '
            "rootless Docker.",
        )
    if "context not found" in words:
        return DockerCacheError(
            f"The Docker context does not exist, so nothing can be built: {words}",
            fix="`docker context ls` lists them; `docker context use NAME` or DOCKER_CONTEXT "
            "chooses one.",
        )
    return DockerCacheError(
        f"The Docker engine cannot be reached, so nothing can be built: {words}",
        fix="Start it (sudo systemctl start docker, or Docker Desktop), or point DOCKER_HOST, "
        "`docker context use` or --builder at one that runs. `docker info` shows what is tried.",
    )


def shortened(message: str, limit: int = 300) -> str:
    """Give the first line of a client's message, without its `ERROR:`."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    first = re.sub(r"^(error|warning): *", "", lines[0], flags=re.IGNORECASE) if lines else ""
    first = first.rpartition("stderr=")[2]  # what ssh said, at the end of how it was called
    first = re.sub(r": open \S+\.json: .*", "", first)  # where a context's file would have been
    first = first or "docker says nothing about it"
    return first if len(first) <= limit else first[: limit - 1] + "…"


def podman() -> DockerCacheError:
    """Say that Podman answers in Docker's place."""
    return DockerCacheError(
        "`docker` is Podman here. It builds with Buildah, not with BuildKit, whose caches and "
        "secrets the image needs: it cannot be built.",
        fix="Install Docker (docker-cli and docker-buildx), or run BuildKit on Podman: "
        "docker buildx create --driver docker-container --use, with Docker's own client.\n"
        "`poetry docker export` works without an engine.",
    )


def old_buildx(version: str, oldest: str) -> DockerCacheError:
    """Say that the plugin is too old."""
    return DockerCacheError(
        f"docker buildx {version} is too old: {oldest} or newer is needed.", fix=INSTALL_BUILDX
    )


def old_engine(version: str, oldest: str) -> DockerCacheError:
    """Say that the engine's BuildKit is too old."""
    return DockerCacheError(
        f"Docker Engine {version} is too old: its BuildKit lacks what the build needs, secrets "
        f"among it. {oldest} is the oldest that will do, 23.0 or newer is better.",
        fix="Upgrade Docker Engine, or build on another with --builder or DOCKER_HOST.",
    )


def old_frontend(own: str, needed: str) -> DockerCacheError:
    """Say that nothing reads the Dockerfile: the builder's frontend is old, no other is wanted."""
    return DockerCacheError(
        f"{own}. The image's Dockerfile needs {needed} (heredocs, COPY --link), and "
        "`syntax = false` keeps the build from fetching a newer frontend.",
        fix='Leave `syntax` at "auto", which fetches docker/dockerfile:1, or name your registry\'s '
        "copy of it by `syntax`; or build on Docker Engine 23.0 or newer.",
    )


def no_buildx(broken: str) -> DockerCacheError:
    """Say that the plugin is missing, or in the client's words why it does not start."""
    return DockerCacheError(
        f"docker has no working buildx, which runs BuildKit: {shortened(broken)}"
        if broken
        else "docker has no buildx, which runs BuildKit: the image cannot be built.",
        fix=INSTALL_BUILDX,
    )


def no_builder(name: str) -> DockerCacheError:
    """Say that the builder asked for does not exist."""
    return DockerCacheError(
        f"There is no builder {name!r}: the image cannot be built on it.",
        fix="`docker buildx ls` lists the builders, "
        f"`docker buildx create --name {name}` makes one.",
    )
