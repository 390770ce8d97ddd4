"""The errors about the container engine, each with a fix."""

from __future__ import annotations

import re

from poetry_docker_cache.errors import DockerCacheError

INSTALL_BUILDX = (
    "Install the docker-buildx-plugin package of Docker (docker-buildx on Debian and Ubuntu), "
    "then check with: docker buildx version"
)
# What Go prints about a file of the client itself; for a socket it prints `connect:`.
_UNUSABLE_FILE = re.compile(
    r"\b(mkdir|open|l?stat|rename|link|chmod) .+: "
    r"(read-only file system|permission denied|not a directory|no space left on device)"
)


def no_home() -> DockerCacheError:
    """Return the error for a user without a home folder."""
    return DockerCacheError(
        "HOME is not set, and this user has no home folder: docker would write its settings into "
        "the project.",
        fix="Set HOME or DOCKER_CONFIG to a folder that you can write to.",
    )


def unreachable(message: str) -> DockerCacheError:
    """Return the error for an engine that does not answer, in the client's own words."""
    if unusable := _UNUSABLE_FILE.search(message):
        return DockerCacheError(
            f"Docker's client cannot use the folder of its settings: {unusable[0]}.",
            fix="Set HOME to a folder that you can write to, or only BUILDX_CONFIG, for the state "
            "of buildx.",
        )
    words = shortened(message)
    if "permission denied" in words.lower() and "ssh" not in message.lower():
        return DockerCacheError(
            f"No permission to use the Docker engine: {words}",
            fix='Add your user to its group (sudo usermod -aG docker "$USER", then log in again), '
            "or use rootless Docker.",
        )
    if "context not found" in words:
        return DockerCacheError(
            f"The Docker context does not exist: {words}",
            fix="List them with `docker context ls`; choose one with `docker context use NAME` or "
            "DOCKER_CONTEXT.",
        )
    return DockerCacheError(
        f"The Docker engine cannot be reached: {words}",
        fix="Start it (sudo systemctl start docker, or Docker Desktop), or point DOCKER_HOST, "
        "`docker context use` or --builder at a running one. `docker info` shows what is used.",
    )


def shortened(message: str, limit: int = 300) -> str:
    """Return the first line of a client's message, without its `ERROR:`."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    first = re.sub(r"^(error|warning): *", "", lines[0], flags=re.IGNORECASE) if lines else ""
    first = first.rpartition("stderr=")[2]  # ssh's own message, after its command line
    first = re.sub(r": open \S+\.json: .*", "", first)  # the path of a context's missing file
    first = first or "docker printed no error"
    return first if len(first) <= limit else first[: limit - 1] + "…"


def podman() -> DockerCacheError:
    """Return the error for Podman in place of Docker."""
    return DockerCacheError(
        "`docker` is Podman here, which builds with Buildah. The image needs BuildKit's caches and "
        "secrets.",
        fix="Install Docker (docker-cli and docker-buildx), or run BuildKit on Podman with "
        "Docker's own client: docker buildx create --driver docker-container --use\n"
        "`poetry docker export` works without an engine.",
    )


def old_buildx(version: str, oldest: str) -> DockerCacheError:
    """Return the error for a buildx that is too old."""
    return DockerCacheError(
        f"docker buildx {version} is too old: {oldest} or newer is needed.", fix=INSTALL_BUILDX
    )


def old_engine(version: str, oldest: str) -> DockerCacheError:
    """Return the error for an engine that is too old."""
    return DockerCacheError(
        f"Docker Engine {version} is too old: {oldest} or newer is needed, 23.0 or newer is "
        "recommended.",
        fix="Upgrade Docker Engine, or build on another one with --builder or DOCKER_HOST.",
    )


def old_frontend(own: str, needed: str, engine: str) -> DockerCacheError:
    """Return the error for an old frontend when `syntax = false` forbids fetching a newer one.

    `engine` is the first Docker Engine with a frontend that is new enough.
    """
    return DockerCacheError(
        f"{own}. The image's Dockerfile needs {needed}, and "
        "`syntax = false` keeps the build from fetching a newer frontend.",
        fix='Leave `syntax` at "auto", which fetches docker/dockerfile:1, or set it to a copy in '
        f"your registry; or build on Docker Engine {engine} or newer.",
    )


def no_buildx(broken: str) -> DockerCacheError:
    """Return the error for a buildx that is missing or, in the client's words, does not start."""
    return DockerCacheError(
        f"docker buildx does not work: {shortened(broken)}"
        if broken
        else "docker buildx is not installed.",
        fix=INSTALL_BUILDX,
    )


def strange_client(docker: str, printed: str) -> DockerCacheError:
    """Return the error for a client whose answer is not JSON."""
    return DockerCacheError(
        f"{docker} does not answer as Docker's client does: {shortened(printed)}",
        fix="Install Docker's client, or put it first on the PATH. Check with: docker info",
    )


def no_builder(name: str) -> DockerCacheError:
    """Return the error for a builder that does not exist."""
    return DockerCacheError(
        f"There is no builder {name!r}.",
        fix="List the builders with `docker buildx ls`, or create one with "
        f"`docker buildx create --name {name}`.",
    )
