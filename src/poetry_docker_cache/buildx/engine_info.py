"""What the container engine is and can do, read from what its own tools print."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from poetry_docker_cache.buildx import engine_errors

if TYPE_CHECKING:
    from poetry_docker_cache.errors import DockerCacheError

Store = Literal["containerd", "classic"]
Version = tuple[int, ...]

NEEDED_FRONTEND = (1, 4)
"""Heredocs and `COPY --link`, which the generated Dockerfile is made of."""
_OLDEST_BUILDX = (0, 8)
_OLDEST_ENGINE = (20, 10)
_FIRST_DOCKER = 17
"""Since then Docker's versions are years; smaller ones that answer in its place are Podman's."""

# Which Dockerfile frontend is built into an engine at least; newest first (seen and documented).
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
    """The builder that a build will run on, and the engine that its image can be loaded into."""

    docker: str
    """Path of the client."""
    buildx: Version
    builder: str
    driver: str
    """`docker`, `docker-container`, `kubernetes`, `remote` or `cloud`."""
    engine: Version | None = None
    """None where no engine answers: a remote builder works without one."""
    store: Store | None = None
    """The engine's image store; None without an engine."""
    frontend: Version | None = None
    """The Dockerfile frontend that the builder brings along, at least; None when unknown."""

    @property
    def frontend_is_enough(self) -> bool:
        """Whether a Dockerfile of ours needs no `# syntax` line, which fetches a frontend."""
        return self.frontend is not None and self.frontend >= NEEDED_FRONTEND


@dataclass(frozen=True, kw_only=True)
class Node:
    """One machine of a builder, as `docker buildx inspect` shows it."""

    endpoint: str = ""
    error: str = ""
    buildkit: str = ""
    options: str = ""


@dataclass(frozen=True, kw_only=True)
class Builder:
    """A builder, as `docker buildx inspect` shows it."""

    name: str
    driver: str
    error: str
    nodes: tuple[Node, ...]


def parse_version(text: str) -> Version | None:
    """Read the first number with dots in it; None for `dev`, and for the `v0.0.0` of Debian."""
    match = re.search(r"\d+(?:\.\d+)+", text)
    version = tuple(int(part) for part in match[0].split(".")) if match else ()
    return version if any(version) else None


def parse_builder(text: str) -> Builder:
    """Read what `docker buildx inspect` prints; it has no other format."""
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
            )
            for node in nodes
        ),
    )


def _fields(text: str) -> dict[str, str]:
    """Read `Name:  value` lines that stand at the margin."""
    found = re.findall(r"^([A-Za-z][^:\n]*):[ \t]*(.*)$", text, flags=re.MULTILINE)
    return {key.lower(): value.strip() for key, value in found}


def parse_info(answer: Answer) -> dict[str, Any]:
    """Read `docker info --format '{{json .}}'`; empty where the client itself failed."""
    try:
        info = json.loads(answer.out)
    except ValueError:
        return {}
    return info if isinstance(info, dict) else {}


def judge(*, docker: str, info: Answer, inspect: Answer, wanted: str) -> EngineInfo:
    """Make one picture of both answers. `wanted` is the builder asked for by name, or empty.

    Raises DockerCacheError where nothing can be built there.
    """
    facts = parse_info(info)
    if "host" in facts or "podman" in (info.err + inspect.err).lower():
        raise engine_errors.podman()
    buildx = _buildx(facts)
    if inspect.status:
        raise _no_builder(facts, buildx, info, inspect, wanted)
    builder = parse_builder(inspect.out)
    if buildx < _OLDEST_BUILDX:
        raise engine_errors.old_buildx(dotted(buildx), dotted(_OLDEST_BUILDX))
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


def _buildx(facts: dict[str, Any]) -> Version:
    """Find the plugin among those that the client lists; () if none runs."""
    plugins = (facts.get("ClientInfo") or {}).get("Plugins") or []
    for plugin in plugins:
        if plugin.get("Name") == "buildx" and not plugin.get("Err"):
            # A build from source may not know its version: assume it is supported.
            return parse_version(str(plugin.get("Version") or "")) or _OLDEST_BUILDX
    return ()


def _store(facts: dict[str, Any]) -> Store | None:
    """Tell the image stores apart as buildx does itself."""
    if not facts.get("ServerVersion"):
        return None
    status = facts.get("DriverStatus") or []
    containerd = ["driver-type", "io.containerd.snapshotter.v1"] in status
    return "containerd" if containerd else "classic"


def _frontend(builder: Builder, engine: Version | None) -> Version | None:
    """Tell which frontend the weakest machine of the builder has, at least."""
    if builder.driver == "docker" and engine is not None:
        return _frontend_of(engine)
    found = [_bundled(node, builder.driver) for node in builder.nodes]
    known = [version for version in found if version is not None]
    return min(known) if known and len(known) == len(found) else None


def _bundled(node: Node, driver: str) -> Version | None:
    """Tell which frontend a machine's BuildKit has: that of 0.25 is 1.19, and so on."""
    image = re.search(r'image="([^"]*)"', node.options)
    if not node.buildkit and driver == "docker-container" and image is None:
        return NEEDED_FRONTEND  # not created yet: buildx is going to pull the newest BuildKit
    version = parse_version(node.buildkit or (image[1].rpartition(":")[2] if image else ""))
    if version is None:
        return None
    if version[0] == 0:
        return (1, version[1] - 6)
    is_engine = version[0] >= _FIRST_DOCKER  # an old buildx shows the engine's version here
    return _frontend_of(version) if is_engine else NEEDED_FRONTEND


def _frontend_of(engine: Version) -> Version | None:
    return next((has for since, has in _FRONTENDS if engine >= since), None)


def _check_reachable(builder: Builder, facts: dict[str, Any], info: Answer) -> None:
    """Raise where the builder's machines cannot be reached; an engine may be away without harm."""
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
    """Say why `docker buildx inspect` failed."""
    if not facts:  # the client could not even start: a context that does not exist, say
        return engine_errors.unreachable(info.err or inspect.err)
    if not buildx:
        plugins = (facts.get("ClientInfo") or {}).get("Plugins") or []
        broken = (str(item.get("Err", "")) for item in plugins if item.get("Name") == "buildx")
        return engine_errors.no_buildx(next(broken, ""))
    if wanted and "no builder" in inspect.err:
        return engine_errors.no_builder(wanted)
    return engine_errors.unreachable(inspect.err)


def dotted(version: Version) -> str:
    """Write a version as it is read."""
    return ".".join(map(str, version))


def frontend_note(engine: EngineInfo, syntax: str | None) -> str | None:
    """Say that the builder's own frontend is too old, and which one the build fetches instead.

    Where that cannot be fetched, BuildKit says so much later and not why it was asked for. Raises
    DockerCacheError where `# syntax` was turned off, and nothing can read the Dockerfile.
    """
    if engine.frontend is None or engine.frontend_is_enough:
        return None
    own = f"{_named(engine)} reads Dockerfiles of syntax {dotted(engine.frontend)} only"
    if syntax is None:
        raise engine_errors.old_frontend(own, dotted(NEEDED_FRONTEND))
    return (
        f"{own}: the build fetches a newer frontend, {syntax}. Where that is out of reach, name "
        "your registry's copy by `syntax`, or build on Docker Engine 23.0 or newer."
    )


def _named(engine: EngineInfo) -> str:
    if engine.driver == "docker" and engine.engine is not None:
        return f"Docker Engine {dotted(engine.engine)}"
    return f"The builder {engine.builder!r}"
