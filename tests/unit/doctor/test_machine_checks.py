"""What `poetry docker doctor` says about the engine, the disk, the cache and platforms."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from poetry_docker_cache.buildx.engine_info import Answer, EngineInfo
from poetry_docker_cache.doctor.machine_checks import (
    CacheSize,
    Judged,
    check_cache,
    check_disk,
    check_platforms,
    judge_engine,
    parse_cache_size,
)

if TYPE_CHECKING:
    from poetry_docker_cache.doctor.checks import Check

BUILDX = {"Name": "buildx", "Version": "0.29.1+ds1"}
CLASSIC = [["Backing Filesystem", "extfs"]]
ENGINE = EngineInfo(
    docker="docker", buildx=(0, 29, 1), builder="default", driver="docker", store="containerd"
)
WORK = ("packages that are built from source",)


def info(version: str = "28.5.2", **more: Any) -> Answer:  # noqa: ANN401  # JSON
    """Answer `docker info`."""
    facts = {"ServerVersion": version, "ClientInfo": {"Plugins": [BUILDX]}, **more}
    return Answer(status=0, out=json.dumps(facts), err="")


def inspect(
    platforms: str = "linux/amd64, linux/386", *, driver: str = "docker", error: str = ""
) -> Answer:
    """Answer `docker buildx inspect`."""
    out = f"Name: default\nDriver: {driver}\n\nNodes:\nName: default\nEndpoint: default\n"
    out += f"Error: {error}\n" if error else f"Status: running\nPlatforms: {platforms}\n"
    return Answer(status=0, out=out, err="")


def judged(info: Answer, inspect: Answer) -> Judged:
    """Judge the current builder."""
    return judge_engine(info, inspect, docker="docker", wanted="")


def states(checks: list[Check]) -> list[tuple[str, str]]:
    """Return names and states."""
    return [(check.name, check.status) for check in checks]


def test_working_engine_is_named() -> None:
    """Version, image store and builder are what a bug report needs."""
    checks, engine = judged(info(DriverStatus=CLASSIC), inspect())
    assert [check.message for check in checks] == [
        "Docker Engine 28.5.2 answers, classic image store.",
        "docker buildx 0.29.1 works, builder 'default' (docker).",
    ]
    assert states(checks) == [("engine", "ok"), ("buildx", "ok")]
    assert engine
    assert engine.store == "classic"


def test_stopped_engine_does_not_hide_buildx() -> None:
    """The error has its fix, and the client still works."""
    checks, engine = judged(info("", ServerErrors=["Cannot connect"]), inspect(error="refused"))
    assert states(checks) == [("engine", "error"), ("buildx", "ok")]
    assert "systemctl start docker" in checks[0].fix
    assert engine is None


@pytest.mark.parametrize(("version", "state"), [("28.5.2", "ok"), ("", "error")])
def test_missing_buildx_does_not_hide_engine(version: str, state: str) -> None:
    """Each has its own line."""
    failed = Answer(status=1, out="", err="unknown command: docker buildx")
    checks, engine = judged(info(version, ClientInfo={}), failed)
    assert states(checks) == [("engine", state), ("buildx", "error")]
    assert "docker-buildx" in checks[1].fix
    assert engine is None


def test_builder_without_engine_cannot_load() -> None:
    """A remote builder works without an engine on this machine."""
    checks, engine = judged(info(""), inspect(driver="remote"))
    assert states(checks) == [("engine", "warning"), ("buildx", "ok")]
    assert "not loaded" in checks[0].message
    assert engine


def test_old_engine_fetches_newer_frontend() -> None:
    """That works, but needs Docker Hub."""
    checks, _ = judged(info("20.10.24"), inspect())
    assert states(checks)[0] == ("engine", "warning")
    assert "docker/dockerfile:1" in checks[0].message


@pytest.mark.parametrize(("free", "state"), [(8e9, "ok"), (3e9, "warning"), (2e8, "error")])
def test_little_disk_space_is_found(free: float, state: str) -> None:
    """The fix says what the build cache can give up."""
    check = check_disk(free, "the engine (/data)", CacheSize("4.1 GB", "3.9 GB"))
    assert check.status == state
    assert ("3.9 GB" in check.fix) == (state != "ok")


def test_cache_size_is_last_of_buildx_du() -> None:
    """Seen with buildx 0.29: a table, then the sums."""
    out = "ID\tRECLAIMABLE\tSIZE\nx1*\ttrue\t1.2GB\nReclaimable:\t1.1GB\nTotal:\t2.3GB\n"
    size = parse_cache_size(Answer(status=0, out=out, err=""))
    assert size == CacheSize("2.3 GB", "1.1 GB")
    assert check_cache(size).message == "The build cache uses 2.3 GB; 1.1 GB can be freed."
    assert check_cache(parse_cache_size(Answer(status=1, out="", err=""))).status == "warning"


@pytest.mark.parametrize(
    ("known", "work", "state", "fix"),
    [
        ("linux/amd64*, linux/386", WORK, "error", "--install arm64"),
        ("linux/amd64, linux/arm64", WORK, "warning", "buildx create --append"),
        ("linux/amd64", (), "ok", ""),
    ],
)
def test_foreign_platform_needs_emulation_only_if_something_runs(
    known: str, work: tuple[str, ...], state: str, fix: str
) -> None:
    """Wheels are installed without running anything for the platform."""
    own, foreign = check_platforms(
        ["linux/amd64", "linux/arm64"], inspect(known), ENGINE, work=work
    )
    assert own.status == "ok"
    assert foreign.status == state
    assert fix in foreign.fix
    assert foreign.message.startswith("linux/arm64 ")


def test_classic_store_holds_one_platform() -> None:
    """BuildKit refuses several in Docker's own builder then."""
    classic = EngineInfo(
        docker="docker", buildx=(0, 29), builder="default", driver="docker", store="classic"
    )
    *_, last = check_platforms(["linux/amd64", "linux/386"], inspect(), classic, work=())
    assert last.status == "error"
    assert "docker buildx create" in last.fix


def test_builder_that_has_not_started_has_no_platforms() -> None:
    """They are unknown, which is no problem yet."""
    (check,) = check_platforms(["linux/arm64"], inspect(""), ENGINE, work=WORK)
    assert (check.status, check.fix) == (
        "warning",
        "Start it: docker buildx inspect --bootstrap",
    )
