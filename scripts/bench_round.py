"""One round of the benchmark: all scenarios and variants at one size, on new engines."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import bench_log
import debian
from bench_docker import Clock, docker
from bench_registry import CountingRegistry
from bench_results import Image, Measurement
from bench_variants import Build, Plugin, Variant
from bench_workshop import PASSWORDS, Workshop
from engine import Engine
from processes import EngineError, run, run_logged, say

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from bench_project import PackageSet
    from bench_scenarios import Scenario

SLIM, FULL = "python:3.13-slim", "python:3.13"
_MIN_FREE = 20 * 1000**3
"""Free bytes on the disk that an edit needs."""


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A finished build."""

    log: str
    seconds: float
    """The time of the whole command."""
    buildkit: float
    """The time of `docker buildx build` in it."""


@dataclass(frozen=True, kw_only=True)
class Machines:
    """The services of a round: new engines, a registry, and an index.

    Each variant has its own engine, so that variants do not share caches. Another engine is
    emptied before every build on a fresh machine.
    """

    engines: Mapping[str, Engine]
    fresh: Engine
    registry: CountingRegistry
    workshop: Workshop
    clock: Clock
    base: str
    full: str
    """The names of the base images in the registry."""


@contextlib.contextmanager
def machines(
    variants: Sequence[Variant], scenarios: Sequence[Scenario], folder: Path, poetry: Path
) -> Iterator[Machines]:
    """Start the services, and stop them when the context is closed."""
    with contextlib.ExitStack() as stack:
        tags = [image.partition(":")[2] for image in (SLIM, FULL)]
        engines = [
            stack.enter_context(Engine.up(f"bench-{os.getpid()}-{number}", images=tags))
            for number in range(len(variants) + 1)
        ]
        fresh = engines.pop()
        (folder / "registry").mkdir()
        registry = stack.enter_context(CountingRegistry(folder / "registry", fresh.state))
        base, full = (registry.provide(image, fresh) for image in (SLIM, FULL))
        for architecture in _others(scenarios):
            registry.add_platform(base, SLIM.partition(":")[2], architecture, fresh)
        for engine in engines:
            docker(engine, "pull", base)
            docker(engine, "pull", full)
        workshop = stack.enter_context(Workshop(folder, fresh, base, poetry))
        names = [variant.name for variant in variants]
        yield Machines(
            engines=dict(zip(names, engines, strict=True)),
            fresh=fresh,
            registry=registry,
            workshop=workshop,
            clock=Clock(folder / "clock"),
            base=base,
            full=full,
        )


def _others(scenarios: Sequence[Scenario]) -> set[str]:
    """Return the architectures besides that of this machine."""
    names = {name for scenario in scenarios for name in scenario.platforms}
    return {name.partition("/")[2] for name in names} - {debian.architecture()}


class Round:
    """The builds of one round."""

    def __init__(self, packages: PackageSet, running: Machines, logs: Path) -> None:
        self.packages = packages
        self._machines = running
        self._registry = running.registry
        self._workshop = running.workshop
        self._logs = logs

    def lock(self, scenarios: Sequence[Scenario], variants: Sequence[Variant]) -> None:
        """Write and lock the projects of all scenarios."""
        for kind in sorted({variant.kind for variant in variants}):
            for edit in dict.fromkeys(["none", *(scenario.edit for scenario in scenarios)]):
                say(f"{self.packages.name} packages: locking for {kind}, edit: {edit}")
                self._workshop.lock(self.packages, edit, kind)
        self._workshop.stop_locking()

    def measure(self, scenario: Scenario, variant: Variant) -> Measurement:
        """Build and push the image of a scenario, and measure it."""
        name = variant.name
        engine, repository, cache = self._engine(variant), variant.name, None
        if scenario.fresh:
            engine, repository = self._machines.fresh, _fresh(variant, scenario)
            cache = self._prepare_kept(scenario, variant)
        variant = self._with_setting(scenario, variant)
        build = self._build(variant, scenario.edit, self._reference(repository, scenario.name))
        is_full = shutil.disk_usage(engine.state).free < _MIN_FREE
        crowded = is_full and not isinstance(variant, Plugin)
        if scenario.fresh or scenario.cold:
            self._empty(engine, keep_base=scenario.cold)
        elif crowded:
            self._rebuild(engine, variant)
        if scenario.fresh and crowded:  # the variant's own engine is not needed any more
            self._empty(self._engine(variant), keep_base=True)
        if scenario.new_password:
            self._workshop.set_password(PASSWORDS[1])
        os.sync()  # do not measure writes of earlier builds
        self._registry.traffic()
        try:
            done = self._run(variant, replace(build, cache_from=cache), engine)
        finally:
            if scenario.new_password:
                self._workshop.set_password(PASSWORDS[0])
        traffic = self._registry.traffic()
        return Measurement(
            size=self.packages.name,
            variant=name,
            scenario=scenario.name,
            installed=len(bench_log.installed(done.log)),
            blobs=traffic.blobs,
            pushed=traffic.pushed,
            pulled=traffic.pulled,
            seconds=round(done.seconds, 2),
            buildkit=round(done.buildkit, 2),
        )

    def warm_up(self, variant: Variant) -> None:
        """Build without measuring, so that a proxy of the index has all packages."""
        build = self._build(variant, "none", self._reference("warm-up", "cold"))
        self._run(variant, build, self._engine(variant))

    def build_first(self, variant: Variant) -> None:
        """Run the first build without measuring it."""
        build = self._build(variant, "none", self._reference(variant.name, "cold"))
        self._run(variant, build, self._engine(variant))

    def export_cache(self, variant: Variant) -> None:
        """Push the first image and its cache to a repository for the fresh machine.

        The repository is a separate one, because it must not have blobs of other builds.
        """
        build = self._build(variant, "none", self._reference(_fresh(variant), "first"))
        cache = f"type=registry,ref={self._reference(_fresh(variant), 'cache')}"
        self._run(variant, replace(build, cache_to=cache), self._engine(variant))

    def _prepare_kept(self, scenario: Scenario, variant: Variant) -> str | None:
        """Run the first build for a fresh machine, and return the cache to import there."""
        repository, folder = _fresh(variant, scenario), self._workshop.kept / variant.name
        if scenario.kept == "registry":
            return f"type=registry,ref={self._reference(repository, 'cache')}"
        shutil.rmtree(folder, ignore_errors=True)
        keeping = self._with_setting(scenario, variant)
        build = self._build(keeping, "none", self._reference(repository, "first"))
        if scenario.kept == "folder":
            build = replace(build, cache_to=f"type=local,dest={folder}")
            self._run(keeping, build, self._engine(variant))
            return f"type=local,src={folder}"
        self._empty(self._machines.fresh, keep_base=False)
        self._run(keeping, build, self._machines.fresh)
        return None

    def _with_setting(self, scenario: Scenario, variant: Variant) -> Variant:
        """Return the variant with the setting that a scenario is about."""
        if isinstance(variant, Plugin) and scenario.kept == "downloads":
            folder = self._workshop.kept / variant.name
            return replace(variant, setting=("download-cache", str(folder)))
        if isinstance(variant, Plugin) and scenario.platforms:
            return replace(variant, setting=("platforms", scenario.platforms))
        if isinstance(variant, Plugin) and scenario.kept == "image":
            image = self._reference(_fresh(variant, scenario), "first")
            return replace(variant, setting=("reuse-image", image))
        return variant

    def image(self, variant: Variant) -> Image:
        """Measure the size of a variant's image."""
        size = self._registry.image_size(f"bench/{variant.name}", "cold")
        return Image(size=self.packages.name, variant=variant.name, bytes=size)

    def python(self, variant: Variant, code: str, *, engine_of: Variant) -> str:
        """Run Python code in a variant's image and return its output."""
        engine = self._engine(engine_of)
        build = self._build(variant, "none", self._reference(variant.name, "start"))
        self._run(variant, build, engine)
        return docker(engine, "run", "--rm", "--network=none", build.tag, "python", "-c", code)

    def layers(self, variant: Variant) -> str:
        """Return the JSON of `poetry docker layers`, with package sizes from the first image."""
        build = self._build(variant, "none", self._reference(variant.name, "cold"))
        env = {**self._workshop.environment, **self._engine(variant).env}
        command = [str(build.poetry), "docker", "layers", "--json", "--no-interaction", "--no-ansi"]
        docker(self._engine(variant), "pull", build.tag)  # `--push` leaves no image in the engine
        image = ["--from=image", f"--image={build.tag}"]
        return run([*command, *image], env=env, cwd=build.folder)

    def _engine(self, variant: Variant) -> Engine:
        return self._machines.engines[variant.name]

    def _build(self, variant: Variant, edit: str, tag: str) -> Build:
        return Build(
            folder=self._workshop.copy(self.packages, edit, variant),
            tag=tag,
            base=self._machines.base,
            full=self._machines.full,
            secrets=self._workshop.secrets,
            poetry=self._workshop.poetry,
        )

    def _run(self, variant: Variant, build: Build, engine: Engine) -> Finished:
        command = variant.command(build)
        clock = self._machines.clock
        env = clock.watching({**self._workshop.environment, **engine.env})
        started = time.monotonic()
        status, log = run_logged(command, build.folder, env)
        seconds = time.monotonic() - started
        name = f"{self.packages.name}-{build.tag.rpartition('/')[2].replace(':', '-')}"
        (self._logs / f"{name}.log").write_text(f"$ {shlex.join(command)}\n{log}", encoding="utf-8")
        if status:
            tail = "\n".join(log.strip().splitlines()[-15:])
            raise EngineError(f"{name} failed:\n{tail}")
        return Finished(log=log, seconds=seconds, buildkit=clock.seconds())

    def _reference(self, repository: str, tag: str) -> str:
        return f"{self._registry.address}/bench/{repository}:{tag}"

    def _rebuild(self, engine: Engine, variant: Variant) -> None:
        """Empty an engine, and run the first build on it again.

        Each edit of a handwritten Dockerfile leaves gigabytes. Everything is removed, because
        BuildKit removes more than it should if only a part is to be removed.
        """
        say(f"{self.packages.name}   disk almost full: building {variant.name} again from scratch")
        self._empty(engine, keep_base=True)
        self.build_first(variant)

    def _empty(self, engine: Engine, *, keep_base: bool) -> None:
        """Remove images and build caches."""
        names = docker(engine, "image", "ls", "--format={{.Repository}}:{{.Tag}}").split()
        bases = (self._machines.base, self._machines.full)
        unwanted = [name for name in names if not (keep_base and name in bases)]
        if unwanted:
            docker(engine, "image", "rm", "--force", *unwanted)
        docker(engine, "buildx", "prune", "--all", "--force")


def _fresh(variant: Variant, scenario: Scenario | None = None) -> str:
    """Return the repository for a fresh machine, separate for each kind of cache."""
    kept = scenario.kept if scenario else "registry"
    return f"{variant.name}-fresh" if kept == "registry" else f"{variant.name}-fresh-{kept}"
