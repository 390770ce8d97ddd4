"""The container engine and its capabilities, parsed from the output of docker's commands."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from poetry_docker_cache.buildx import engine_errors
from poetry_docker_cache.plan.image_plan import FRONTEND

if TYPE_CHECKING:
    from poetry_docker_cache.errors import DockerCacheError

Store = Literal["containerd", "classic"]
Version = tuple[int, ...]

OLDEST_BUILDX = (0, 8)
_OLDEST_ENGINE = (20, 10)
_FIRST_DOCKER = 17
"""Docker's versions begin with the year since 17; smaller ones are Podman's."""

# The oldest Dockerfile frontend in an engine since this version; newest first (documented, tested).
_FRONTENDS: tuple[tuple[Version, Version], ...] = (
    ((29, 1), (1, 20)),
    ((28, 5), (1, 19)),
    ((27, 3), (1, 10)),
    ((25, 0), (1, 6)),
    ((23, 0), (1, 4)),
    ((20, 10), (1, 2)),
)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a command printed, and its exit status."""

    status: int
    out: str
    err: str


@dataclass(frozen=True, kw_only=True)
class EngineInfo:
    """The builder of a build, and the engine that the image can be loaded into."""

    docker: str
    """The path of the client."""
    buildx: Version
    builder: str
    driver: str
    """`docker`, `docker-container`, `kubernetes`, `remote` or `cloud`."""
    engine: Version | None = None
    """None if no engine answers: a remote builder works without one."""
    store: Store | None = None
    """The engine's image store; None without an engine."""
    frontend: Version | None = None
    """The oldest Dockerfile frontend in the builder; None if unknown."""

    def has_frontend(self, needed: Version) -> bool:
        """Whether a Dockerfile needs no `# syntax` line, which fetches a newer frontend."""
        return self.frontend is not None and self.frontend >= needed


@dataclass(frozen=True, kw_only=True)
class Node:
    """A node of a builder, as `docker buildx inspect` shows it."""

    endpoint: str = ""
    error: str = ""
    buildkit: str = ""
    options: str = ""
    platforms: tuple[str, ...] = ()
    """Its own platform first, then those that it emulates; empty if it has not started."""


@dataclass(frozen=True, kw_only=True)
class Builder:
    """A builder, as `docker buildx inspect` shows it."""

    name: str
    driver: str
    error: str
    nodes: tuple[Node, ...]


def parse_version(text: str) -> Version | None:
    """Parse the first dotted number; None for `dev`, and for Debian's `v0.0.0`."""
    match = re.search(r"\d+(?:\.\d+)+", text)
    version = tuple(int(part) for part in match[0].split(".")) if match else ()
    return version if any(version) else None


def parse_builder(text: str) -> Builder:
    """Parse the output of `docker buildx inspect`, which has no JSON format."""
    head, _, rest = text.partition("\nNodes:\n")
    nodes = [_fields(part) for part in re.split(r"^(?=Name:)", rest, flags=re.MULTILINE) if part]
    top = _fields(head)
    return Builder(
        name=top.get("name", ""),
        driver=top.get("driver", ""),
        error=top.get("error", ""),
        nodes=tuple(
            Node(
                endpoint=node.get("endpoint", ""),
                error=node.get("error", ""),
                # "Buildkit:" until buildx 0.12
                buildkit=node.get("buildkit version", node.get("buildkit", "")),
                options=node.get("driver options", ""),
                # A star marks those that the builder was created for.
                platforms=tuple(re.findall(r"[^\s,*]+", node.get("platforms", ""))),
            )
            for node in nodes
        ),
    )


def _fields(text: str) -> dict[str, str]:
    """Parse the `Name:  value` lines that are not indented."""
    found = re.findall(r"^([A-Za-z][^:\n]*):[ \t]*(.*)$", text, flags=re.MULTILINE)
    return {key.lower(): value.strip() for key, value in found}


def parse_info(answer: Answer) -> dict[str, Any]:
    """Parse the output of `docker info --format '{{json .}}'`; empty if the client failed."""
    try:
        info = json.loads(answer.out)
    except ValueError:
        return {}
    return info if isinstance(info, dict) else {}


def judge(*, docker: str, info: Answer, inspect: Answer, wanted: str) -> EngineInfo:
    """Combine the answers of `docker info` and `docker buildx inspect`.

    `wanted` is the builder that the user named, or empty. Raises DockerCacheError if nothing can be
    built on this engine.
    """
    facts = parse_info(info)
    if "host" in facts or "podman" in (info.err + inspect.err).lower():
        raise engine_errors.podman()
    buildx = buildx_version(facts)
    if inspect.status:
        raise _no_builder(facts, buildx, info, inspect, wanted)
    builder = parse_builder(inspect.out)
    if not facts and not info.status:
        raise engine_errors.strange_client(docker, info.out)
    if buildx < OLDEST_BUILDX:
        raise engine_errors.old_buildx(dotted(buildx), dotted(OLDEST_BUILDX))
    engine = parse_version(str(facts.get("ServerVersion") or ""))
    _check_reachable(builder, facts, info)
    if builder.driver == "docker" and engine is not None:
        _check_engine(engine)
    return EngineInfo(
        docker=docker,
        buildx=buildx,
        builder=builder.name,
        driver=builder.driver,
        engine=engine,
        store=_store(facts),
        frontend=_frontend(builder, engine),
    )


def buildx_version(facts: dict[str, Any]) -> Version:
    """Return buildx's version from the client's list of plugins; () if it is missing or broken."""
    plugins = (facts.get("ClientInfo") or {}).get("Plugins") or []
    for plugin in plugins:
        if plugin.get("Name") == "buildx" and not plugin.get("Err"):
            # A build from source may not know its version: assume it is supported.
            return parse_version(str(plugin.get("Version") or "")) or OLDEST_BUILDX
    return ()


def _store(facts: dict[str, Any]) -> Store | None:
    """Distinguish the image stores as buildx does."""
    if not facts.get("ServerVersion"):
        return None
    status = facts.get("DriverStatus") or []
    containerd = ["driver-type", "io.containerd.snapshotter.v1"] in status
    return "containerd" if containerd else "classic"


def _frontend(builder: Builder, engine: Version | None) -> Version | None:
    """Return the oldest frontend of the builder's nodes; None if one is unknown."""
    if builder.driver == "docker" and engine is not None:
        return _frontend_of(engine)
    found = [_bundled(node, builder.driver) for node in builder.nodes]
    known = [version for version in found if version is not None]
    return min(known) if known and len(known) == len(found) else None


def _bundled(node: Node, driver: str) -> Version | None:
    """Return the frontend in a node's BuildKit: 0.25 has 1.19, and so on."""
    image = re.search(r'image="([^"]*)"', node.options)
    if not node.buildkit and driver == "docker-container" and image is None:
        return FRONTEND  # not created yet: buildx will pull the newest BuildKit
    version = parse_version(node.buildkit or (image[1].rpartition(":")[2] if image else ""))
    if version is None:
        return None
    if version[0] == 0:
        return (1, version[1] - 6)
    is_engine = version[0] >= _FIRST_DOCKER  # an old buildx shows the engine's version here
    return _frontend_of(version) if is_engine else FRONTEND


def _frontend_of(engine: Version) -> Version | None:
    return next((has for since, has in _FRONTENDS if engine >= since), None)


def _check_reachable(builder: Builder, facts: dict[str, Any], info: Answer) -> None:
    """Raise DockerCacheError if the builder's nodes, or the engine they need, do not answer."""
    errors = [builder.error, *(node.error for node in builder.nodes)]
    failed = builder.error or (builder.nodes and all(node.error for node in builder.nodes))
    if failed:
        raise engine_errors.unreachable(next(filter(None, errors)))
    if builder.driver in ("", "docker") and not facts.get("ServerVersion"):
        raise engine_errors.unreachable(info.err or "; ".join(facts.get("ServerErrors") or []))


def _check_engine(engine: Version) -> None:
    if engine[0] < _FIRST_DOCKER:
        raise engine_errors.podman()
    if engine < _OLDEST_ENGINE:
        raise engine_errors.old_engine(dotted(engine), dotted(_OLDEST_ENGINE))


def _no_builder(
    facts: dict[str, Any], buildx: Version, info: Answer, inspect: Answer, wanted: str
) -> DockerCacheError:
    """Return the error for a failed `docker buildx inspect`."""
    if not facts:  # the client itself failed, for example for an unknown context
        return engine_errors.unreachable(info.err or inspect.err)
    if not buildx:
        plugins = (facts.get("ClientInfo") or {}).get("Plugins") or []
        broken = (str(item.get("Err", "")) for item in plugins if item.get("Name") == "buildx")
        return engine_errors.no_buildx(next(broken, ""))
    if wanted and "no builder" in inspect.err:
        return engine_errors.no_builder(wanted)
    return engine_errors.unreachable(inspect.err)


def dotted(version: Version) -> str:
    """Format a version with dots."""
    return ".".join(map(str, version))


def frontend_note(engine: EngineInfo, syntax: str | None, needed: Version) -> str | None:
    """Return the note about an old frontend and its replacement, which the build fetches.

    If that fails, BuildKit reports it much later, without the reason. Raises DockerCacheError if
    `# syntax` is turned off, so that nothing can read the Dockerfile.
    """
    if engine.frontend is None or engine.has_frontend(needed):
        return None
    first = dotted(min(version for version, has in _FRONTENDS if has >= needed))
    own = f"{_named(engine)} supports Dockerfile syntax {dotted(engine.frontend)} only"
    if syntax is None:
        raise engine_errors.old_frontend(own, dotted(needed), first)
    return (
        f"{own}: the build fetches a newer frontend, {syntax}. If it cannot be fetched, set "
        f"`syntax` to a copy in your registry, or build on Docker Engine {first} or newer."
    )


def _named(engine: EngineInfo) -> str:
    if engine.driver == "docker" and engine.engine is not None:
        return f"Docker Engine {dotted(engine.engine)}"
    return f"The builder {engine.builder!r}"
