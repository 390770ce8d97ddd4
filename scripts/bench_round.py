"""One round of the benchmark: all scenarios and variants at one size, on new engines."""

from __future__ import annotations

import contextlib
import os
import resource
import shlex
import shutil
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import debian
from bench_docker import Clock, docker
from bench_machines import CacheFolder, EngineMachine
from bench_registry import CountingRegistry
from bench_results import Image, Measurement
from bench_variants import Build, Plugin, Variant
from bench_workshop import PASSWORDS, Workshop
from engine import Engine
from processes import EngineError, run, run_logged, say

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from bench_machines import Machine
    from bench_project import PackageSet
    from bench_scenarios import Scenario

SLIM, FULL = "python:3.13-slim", "python:3.13"
_MIN_FREE = 20 * 1000**3
"""Free bytes on the disk that an edit needs."""


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A finished build."""

    installed: int
    seconds: float
    """The time of the whole command."""
    buildkit: float | None
    """The time of `docker buildx build` in it; None without an engine."""
    cpu: float
    """The CPU seconds of the command and of its engine."""


@dataclass(frozen=True, kw_only=True)
class Machines:
    """The services of a round: new engines, a registry, and an index.

    Each variant has its own machine, so that variants do not share caches. Another machine is
    emptied before every build on a fresh one.
    """

    own: Mapping[str, Machine]
    fresh: EngineMachine
    fresh_folder: CacheFolder
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
        with_engine = [variant.name for variant in variants if variant.needs_engine]
        *engines, spare = [
            stack.enter_context(Engine.up(f"bench-{os.getpid()}-{number}", images=tags))
            for number in range(len(with_engine) + 1)
        ]
        (folder / "registry").mkdir()
        registry = stack.enter_context(CountingRegistry(folder / "registry", spare.state))
        base, full = bases = [registry.provide(image, spare) for image in (SLIM, FULL)]
        if any(scenario.new_base for scenario in scenarios):
            for image in bases:
                registry.add_moved(image, spare)
        for architecture in _others(scenarios):
            registry.add_platform(base, SLIM.partition(":")[2], architecture, spare)
        for engine in engines:
            docker(engine, "pull", base)
            docker(engine, "pull", full)
        workshop = stack.enter_context(Workshop(folder, spare, base, poetry))
        environment = workshop.environment
        machines_of: dict[str, Machine] = {
            name: EngineMachine(engine, environment, bases)
            for name, engine in zip(with_engine, engines, strict=True)
        }
        for variant in variants:
            if not variant.needs_engine:
                place = folder / "machines" / variant.name
                machines_of[variant.name] = CacheFolder(place, environment)
        yield Machines(
            own=machines_of,
            fresh=EngineMachine(spare, environment, bases),
            fresh_folder=CacheFolder(folder / "machines" / "fresh", environment),
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
        machine, repository, cache = self._machine(variant), variant.name, None
        if scenario.fresh:
            machine, repository = self._fresh_machine(variant), _fresh(variant, scenario)
            cache = self._prepare_kept(scenario, variant)
        variant = self._with_setting(scenario, variant)
        build = self._build(variant, scenario.edit, self._reference(repository, scenario.name))
        build = replace(build, cache_from=cache, pull=scenario.new_base)
        is_full = shutil.disk_usage(machine.folder).free < _MIN_FREE
        crowded = is_full and not isinstance(variant, Plugin)
        if scenario.fresh or scenario.cold:
            machine.empty(keep_base=scenario.cold)
        elif crowded:
            self._rebuild(machine, variant)
        if scenario.fresh and crowded:  # the variant's own engine is not needed any more
            self._machine(variant).empty(keep_base=True)
        if scenario.kept == "folder" and not variant.needs_engine:
            shutil.copytree(self._workshop.kept / name, machine.folder, dirs_exist_ok=True)
        with self._changed(scenario):
            os.sync()  # do not measure writes of earlier builds
            self._registry.traffic()
            done = self._run(variant, build, machine)
        traffic = self._registry.traffic()
        return Measurement(
            size=self.packages.name,
            variant=name,
            scenario=scenario.name,
            installed=done.installed,
            blobs=traffic.blobs,
            pushed=traffic.pushed,
            pulled=traffic.pulled,
            seconds=round(done.seconds, 2),
            buildkit=None if done.buildkit is None else round(done.buildkit, 2),
            cpu=round(done.cpu, 2),
        )

    @contextlib.contextmanager
    def _changed(self, scenario: Scenario) -> Iterator[None]:
        """Change what a scenario is about outside of the project, and change it back."""
        if scenario.new_base:
            machines = self._machines
            with self._registry.moved((machines.base, machines.full), machines.fresh.engine):
                yield
        elif scenario.new_password:
            self._workshop.set_password(PASSWORDS[1])
            try:
                yield
            finally:
                self._workshop.set_password(PASSWORDS[0])
        else:
            yield

    def warm_up(self, variant: Variant) -> None:
        """Build without measuring, so that a proxy of the index has all packages."""
        build = self._build(variant, "none", self._reference("warm-up", "cold"))
        self._run(variant, build, self._machine(variant))

    def build_first(self, variant: Variant) -> None:
        """Run the first build without measuring it."""
        build = self._build(variant, "none", self._reference(variant.name, "cold"))
        self._run(variant, build, self._machine(variant))

    def export_cache(self, variant: Variant) -> None:
        """Push the first image and its cache, if it has one, to a repository for the fresh machine.

        The repository is a separate one, because it must not have blobs of other builds.
        """
        build = self._build(variant, "none", self._reference(_fresh(variant), "first"))
        cache = f"type=registry,ref={self._reference(_fresh(variant), 'cache')}"
        build = replace(build, cache_to=cache) if variant.needs_engine else build
        self._run(variant, build, self._machine(variant))

    def _prepare_kept(self, scenario: Scenario, variant: Variant) -> str | None:
        """Run the first build for a fresh machine, and return the cache to import there."""
        repository, folder = _fresh(variant, scenario), self._workshop.kept / variant.name
        first = self._reference(repository, "first")
        if scenario.kept == "registry":
            cache = f"type=registry,ref={self._reference(repository, 'cache')}"
            return cache if variant.needs_engine else first
        shutil.rmtree(folder, ignore_errors=True)
        keeping = self._with_setting(scenario, variant)
        build = self._build(keeping, "none", first)
        if not variant.needs_engine:
            self._run(keeping, build, CacheFolder(folder, self._workshop.environment))
            return None
        if scenario.kept == "folder":
            build = replace(build, cache_to=f"type=local,dest={folder}")
            self._run(keeping, build, self._machine(variant))
            return f"type=local,src={folder}"
        self._machines.fresh.empty(keep_base=False)
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
        machine = self._engine_machine(engine_of)
        build = self._build(variant, "none", self._reference(variant.name, "start"))
        self._run(variant, build, machine)
        run_image = ["run", "--rm", "--network=none", build.tag]
        return docker(machine.engine, *run_image, "python", "-c", code)

    def layers(self, variant: Variant) -> str:
        """Return the JSON of `poetry docker layers`, with package sizes from the first image."""
        build = self._build(variant, "none", self._reference(variant.name, "cold"))
        machine = self._engine_machine(variant)
        command = [str(build.poetry), "docker", "layers", "--json", "--no-interaction", "--no-ansi"]
        docker(machine.engine, "pull", build.tag)  # `--push` leaves no image in the engine
        image = ["--from=image", f"--image={build.tag}"]
        return run([*command, *image], env=machine.environment, cwd=build.folder)

    def _machine(self, variant: Variant) -> Machine:
        return self._machines.own[variant.name]

    def _fresh_machine(self, variant: Variant) -> Machine:
        machines = self._machines
        return machines.fresh if variant.needs_engine else machines.fresh_folder

    def _engine_machine(self, variant: Variant) -> EngineMachine:
        machine = self._machine(variant)
        if not isinstance(machine, EngineMachine):
            raise EngineError(f"{variant.name} has no engine.")
        return machine

    def _build(self, variant: Variant, edit: str, tag: str) -> Build:
        return Build(
            folder=self._workshop.copy(self.packages, edit, variant),
            tag=tag,
            base=self._machines.base,
            full=self._machines.full,
            secrets=self._workshop.secrets,
            poetry=self._workshop.poetry,
            metadata=self._workshop.metadata,
        )

    def _run(self, variant: Variant, build: Build, machine: Machine) -> Finished:
        command = variant.command(build)
        clock, env = self._machines.clock, machine.environment
        if variant.needs_engine:
            env = clock.watching(env)
        cpu, started = _cpu_seconds(machine), time.monotonic()
        status, log = run_logged(command, build.folder, env)
        seconds, cpu = time.monotonic() - started, _cpu_seconds(machine) - cpu
        name = f"{self.packages.name}-{build.tag.rpartition('/')[2].replace(':', '-')}"
        (self._logs / f"{name}.log").write_text(f"$ {shlex.join(command)}\n{log}", encoding="utf-8")
        if status:
            tail = "\n".join(log.strip().splitlines()[-15:])
            raise EngineError(f"{name} failed:\n{tail}")
        return Finished(
            installed=variant.installed(build, log),
            seconds=seconds,
            buildkit=clock.seconds() if variant.needs_engine else None,
            cpu=cpu,
        )

    def _reference(self, repository: str, tag: str) -> str:
        return f"{self._registry.address}/bench/{repository}:{tag}"

    def _rebuild(self, machine: Machine, variant: Variant) -> None:
        """Empty an engine, and run the first build on it again.

        Each edit of a handwritten Dockerfile leaves gigabytes. Everything is removed, because
        BuildKit removes more than it should if only a part is to be removed.
        """
        say(f"{self.packages.name}   disk almost full: building {variant.name} again from scratch")
        machine.empty(keep_base=True)
        self.build_first(variant)


def _cpu_seconds(machine: Machine) -> float:
    """Return the CPU seconds so far of a machine, and of the commands that this process ran."""
    commands = resource.getrusage(resource.RUSAGE_CHILDREN)
    return machine.cpu_seconds() + commands.ru_utime + commands.ru_stime


def _fresh(variant: Variant, scenario: Scenario | None = None) -> str:
    """Return the repository for a fresh machine, separate for each kind of cache."""
    kept = scenario.kept if scenario else "registry"
    return f"{variant.name}-fresh" if kept == "registry" else f"{variant.name}-fresh-{kept}"
