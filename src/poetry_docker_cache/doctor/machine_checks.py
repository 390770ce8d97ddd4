"""Checks of the engine, buildx, disk space, the build cache and platforms. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from poetry_docker_cache.buildx.engine_errors import unreachable
from poetry_docker_cache.buildx.engine_info import (
    OLDEST_BUILDX,
    buildx_version,
    dotted,
    frontend_note,
    judge,
    parse_builder,
    parse_info,
)
from poetry_docker_cache.doctor.checks import error, failed, ok, warning
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.plan.image_plan import FRONTEND
from poetry_docker_cache.text import listing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from poetry_docker_cache.buildx.engine_info import Answer, EngineInfo
    from poetry_docker_cache.doctor.checks import Check

_LEAST = 1e9
"""A build that has less disk space will fail."""
_LITTLE = 5e9
_BINFMT = "docker run --privileged --rm tonistiigi/binfmt --install"


class Judged(NamedTuple):
    """The checks of an engine, and what is known about it; None if nothing can be built."""

    checks: list[Check]
    engine: EngineInfo | None


def judge_engine(info: Answer, inspect: Answer, *, docker: str, wanted: str) -> Judged:
    """Check the engine and buildx; `wanted` is the builder that the user named, or empty."""
    facts = parse_info(info)
    buildx, version = buildx_version(facts), str(facts.get("ServerVersion") or "")
    try:
        engine = judge(docker=docker, info=info, inspect=inspect, wanted=wanted)
    except DockerCacheError as problem:
        if facts and buildx < OLDEST_BUILDX:
            why = info.err or "; ".join(facts.get("ServerErrors") or [])
            own = ok("engine", _answers(version)) if version else failed("engine", unreachable(why))
            return Judged([own, failed("buildx", problem)], None)
        known = [ok("buildx", f"docker buildx {dotted(buildx)} is installed.")] if buildx else []
        return Judged([failed("engine", problem), *known], None)
    builder = f"builder {engine.builder!r} ({engine.driver})"
    return Judged(
        [
            _engine_check(engine, version),
            ok("buildx", f"docker buildx {dotted(engine.buildx)} works, {builder}."),
        ],
        engine,
    )


def _answers(version: str, store: str | None = None) -> str:
    images = {"containerd": ", containerd image store", "classic": ", classic image store"}
    return f"Docker Engine {version} answers{images.get(store or '', '')}."


def _engine_check(engine: EngineInfo, version: str) -> Check:
    if not version:
        return warning(
            "engine",
            f"The builder {engine.builder!r} works, but no engine answers: images can be pushed,"
            " not loaded.",
        )
    try:
        note = frontend_note(engine, "docker/dockerfile:1", FRONTEND)
    except DockerCacheError as problem:
        return failed("engine", problem)
    return warning("engine", note) if note else ok("engine", _answers(version, engine.store))


class CacheSize(NamedTuple):
    """The size of the build cache, as buildx prints it."""

    total: str
    reclaimable: str


def parse_cache_size(answer: Answer) -> CacheSize | None:
    """Parse the end of what `docker buildx du` prints; None if it failed."""
    found = dict(re.findall(r"^(Reclaimable|Total):\s*(\S+)$", answer.out, re.MULTILINE))
    if answer.status or "Total" not in found:
        return None
    sizes = {name: re.sub(r"(?<=\d)(?=[A-Za-z])", " ", size) for name, size in found.items()}
    return CacheSize(sizes["Total"], sizes.get("Reclaimable", ""))


def check_disk(free: float, place: str, cache: CacheSize | None = None) -> Check:
    """Check how much disk space there is at a place; a build cache can give up some."""
    message = f"Free disk space for {place}: {free / 1e9:.1f} GB."
    if free >= _LITTLE:
        return ok("disk", message)
    gain = f" (up to {cache.reclaimable})" if cache and cache.reclaimable else ""
    fix = (
        f"Free space: `docker buildx prune` removes unused build cache{gain}, `docker image prune`"
        " images without a name."
    )
    return (error if free < _LEAST else warning)("disk", message, fix)


def check_cache(size: CacheSize | None) -> Check:
    """Report the size of the build cache."""
    if size is None:
        return warning(
            "cache",
            "The size of the build cache is unknown: buildx did not say in time.",
            "Run `docker buildx du`.",
        )
    if size.total == "0 B":
        return ok("cache", "The build cache is empty.")
    unused = f"; {size.reclaimable} can be freed" if size.reclaimable else ""
    return ok("cache", f"The build cache uses {size.total}{unused}.")


def check_platforms(
    wanted: Sequence[str], inspect: Answer, engine: EngineInfo, *, work: Sequence[str]
) -> list[Check]:
    """Check whether the builder can build for these platforms; `work` is what runs on each."""
    nodes = parse_builder(inspect.out).nodes
    known = [platform for node in nodes for platform in node.platforms]
    own = {node.platforms[0] for node in nodes if node.platforms}
    if not known:
        fix = "Start it: docker buildx inspect --bootstrap"
        return [warning("platform", "The platforms of the builder are not known yet.", fix)]
    if not wanted:
        return [ok("platform", f"Images are built for {known[0]}, the platform of the builder.")]
    found = [
        ok("platform", f"{name} is the platform of the builder.")
        if name in own
        else _check_foreign(name, known, work)
        for name in wanted
    ]
    if len(wanted) > 1 and engine.driver == "docker" and engine.store == "classic":
        found.append(
            error(
                "platform",
                "This engine's image store holds one platform only, and `platforms` has several.",
                "Create another builder: docker buildx create --use\nOr turn on the engine's"
                " containerd image store.",
            )
        )
    return found


def _check_foreign(name: str, known: Sequence[str], work: Sequence[str]) -> Check:
    """Check a platform that is not the builder's own."""
    if not work:
        return ok("platform", f"{name} needs no emulation: nothing runs while its image is built.")
    runs = listing([*work])
    if name in known:
        return warning(
            "platform",
            f"{name} is emulated, which is slow. It runs: {runs}.",
            "To avoid that, add a machine of this platform: docker buildx create --append",
        )
    return error(
        "platform",
        f"{name} needs emulation, and the builder has none. It would run: {runs}.",
        f"Install it: {_BINFMT} {name.split('/')[1]}",
    )
