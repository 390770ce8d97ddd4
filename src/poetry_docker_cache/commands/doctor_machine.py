"""Asks the container engine of this machine for what `poetry docker doctor` checks."""

from __future__ import annotations

import contextlib
import functools
import platform
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from poetry_docker_cache.buildx import engine as client
from poetry_docker_cache.buildx.engine_info import Answer, parse_info
from poetry_docker_cache.doctor.checks import failed, warning
from poetry_docker_cache.doctor.machine_checks import (
    Judged,
    check_cache,
    check_disk,
    check_platforms,
    judge_engine,
    parse_cache_size,
)
from poetry_docker_cache.errors import DockerCacheError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from poetry_docker_cache.buildx.engine_info import EngineInfo
    from poetry_docker_cache.doctor.checks import Check, Name
    from poetry_docker_cache.doctor.machine_checks import CacheSize

_PATIENCE = 10
"""How many seconds the engine may take to answer."""
_SILENT = Answer(status=1, out="", err="")


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The answers of the engine and its client."""

    judged: Judged
    info: Answer = _SILENT
    inspect: Answer = _SILENT
    cache: CacheSize | None = None

    @property
    def engine(self) -> EngineInfo | None:
        """The engine; None if nothing can be built on it."""
        return self.judged.engine

    @property
    def architecture(self) -> str:
        """The engine's machine; empty if unknown."""
        return str(parse_info(self.info).get("Architecture") or "")

    @property
    def mirrors(self) -> tuple[str, ...]:
        """The hosts that the engine asks for images of Docker Hub, before Docker Hub itself."""
        config = parse_info(self.info).get("RegistryConfig") or {}
        places = [urlsplit(str(url)) for url in config.get("Mirrors") or ()]
        return tuple(place.netloc for place in places if place.path in ("", "/"))

    def checks(self, platforms: Sequence[str], work: Sequence[str]) -> Iterator[Check]:
        """Yield the checks; `platforms` are those of the images, `work` is what runs on each."""
        yield from self.judged.checks
        if self.engine is None:
            if not any(check.name == "buildx" for check in self.judged.checks):
                yield _unchecked("buildx", "buildx")
            yield check_disk(shutil.disk_usage(tempfile.gettempdir()).free, tempfile.gettempdir())
            yield _unchecked("cache", "Build cache")
            yield _unchecked("platform", "Platforms")
            return
        yield self._disk()
        yield check_cache(self.cache)
        yield from check_platforms(platforms, self.inspect, self.engine, work=work)

    def _disk(self) -> Check:
        """Check the disk of the engine, if that is this machine's."""
        facts = parse_info(self.info)
        root = Path(str(facts.get("DockerRootDir") or ""))
        # Docker Desktop and remote engines have another name, whatever their folder is.
        if facts.get("Name") == platform.node() and root.is_absolute():
            with contextlib.suppress(OSError):
                free = shutil.disk_usage(root).free
                return check_disk(free, f"the engine ({root})", self.cache)
        return warning(
            "disk",
            "Disk space not checked: the engine runs on another, perhaps virtual, machine.",
            "`docker system df` shows what it uses.",
        )

    def local_images(self, names: Sequence[str]) -> dict[str, str]:
        """Return when the engine's own copies of these images were created."""
        if self.engine is None or self.engine.driver != "docker":
            return {}
        command = [self.engine.docker, "image", "inspect", "--format", "{{.Created}}"]
        try:
            answers = client.ask([[*command, name] for name in names], seconds=_PATIENCE)
        except DockerCacheError:
            return {}
        found = zip(names, answers, strict=True)
        return {name: answer.out.strip() for name, answer in found if not answer.status}


def _unchecked(name: Name, what: str) -> Check:
    return warning(name, f"{what} not checked: no engine can be used.")


@contextlib.contextmanager
def querying_machine() -> Iterator[Callable[[], Machine]]:
    """Start docker's commands, and yield a function that waits for their answers."""
    asking = functools.partial(client.asking, seconds=_PATIENCE)
    with contextlib.ExitStack() as stack:
        try:
            docker = client.find()
            answers = stack.enter_context(client.querying(docker=docker, asking=asking))
            sizes = stack.enter_context(asking([[docker, "buildx", "du"]]))
        except DockerCacheError as problem:
            missing = Machine(judged=Judged([failed("engine", problem)], None))
            yield lambda: missing
        else:
            yield functools.partial(_machine, docker, answers, sizes)


def _machine(
    docker: str,
    answers: Callable[[], tuple[Answer, Answer]],
    sizes: Callable[[], list[Answer]],
) -> Machine:
    try:
        info, inspect = answers()
    except DockerCacheError as problem:
        return Machine(judged=Judged([failed("engine", problem)], None))
    judged = judge_engine(info, inspect, docker=docker, wanted=client.wanted_builder())
    cache = None
    if judged.engine:
        with contextlib.suppress(DockerCacheError):  # it takes long for a large cache
            cache = parse_cache_size(*sizes())
    return Machine(judged=judged, info=info, inspect=inspect, cache=cache)
