"""One round: every scenario and variant at one size, on new engines."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import bench_log
from bench_docker import docker
from bench_registry import CountingRegistry
from bench_results import Image, Measurement
from bench_variants import Build, Plugin, Variant
from bench_workshop import PASSWORDS, Workshop
from engine import Engine
from processes import EngineError, logged, run, say

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from bench_project import PackageSet
    from bench_scenarios import Scenario

SLIM, FULL = "python:3.13-slim", "python:3.13"
_ROOM = 20 * 1000**3
"""Bytes on the disk that must be free before an edit."""


@dataclass(frozen=True, kw_only=True)
class Machines:
    """What a round is run on: new engines, a registry, an index.

    Each variant has an engine of its own, so that none finds what another one has cached; there
    is one more, which is emptied for every build on a fresh machine.
    """

    engines: Mapping[str, Engine]
    fresh: Engine
    registry: CountingRegistry
    workshop: Workshop
    base: str
    full: str
    """The base images' names in the registry."""


@contextlib.contextmanager
def machines(variants: Sequence[Variant], folder: Path, poetry: Path) -> Iterator[Machines]:
    """Bring everything up; it ends with the block."""
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
            base=base,
            full=full,
        )


class Round:
    """The builds of one size."""

    def __init__(self, packages: PackageSet, on: Machines, logs: Path) -> None:
        self.packages = packages
        self._machines = on
        self._registry = on.registry
        self._workshop = on.workshop
        self._logs = logs

    def lock(self, scenarios: Sequence[Scenario], variants: Sequence[Variant]) -> None:
        """Write and lock what the scenarios build."""
        for kind in sorted({variant.kind for variant in variants}):
            for edit in dict.fromkeys(["none", *(scenario.edit for scenario in scenarios)]):
                say(f"{self.packages.name} packages: locking for {kind}, edit: {edit}")
                self._workshop.lock(self.packages, edit, kind)
        self._workshop.stop_locking()

    def measure(self, scenario: Scenario, variant: Variant) -> Measurement:
        """Build and push what the scenario says; give what that cost."""
        name = variant.name
        engine, repository, cache = self._engine(variant), variant.name, None
        if scenario.fresh:
            engine, repository = self._machines.fresh, _fresh(variant, scenario)
            cache = self._keep(scenario, variant)
            variant = self._using(scenario, variant)
        build = self._build(variant, scenario.edit, self._reference(repository, scenario.name))
        crowded = shutil.disk_usage(engine.state).free < _ROOM and not isinstance(variant, Plugin)
        if scenario.fresh or scenario.cold:
            self._empty(engine, keep_base=scenario.cold)
        elif crowded:
            self._start_again(engine, variant)
        if scenario.fresh and crowded:  # the edits that its own engine has seen are over
            self._empty(self._engine(variant), keep_base=True)
        if scenario.new_password:
            self._workshop.set_password(PASSWORDS[1])
        os.sync()  # what earlier builds have written is not this one's business
        self._registry.traffic()
        try:
            log, seconds = self._run(variant, replace(build, cache_from=cache), engine)
        finally:
            if scenario.new_password:
                self._workshop.set_password(PASSWORDS[0])
        traffic = self._registry.traffic()
        return Measurement(
            size=self.packages.name,
            variant=name,
            scenario=scenario.name,
            installed=len(bench_log.installed(log)),
            blobs=traffic.blobs,
            pushed=traffic.pushed,
            pulled=traffic.pulled,
            seconds=round(seconds, 2),
        )

    def warm_up(self, variant: Variant) -> None:
        """Build once for nothing: a proxy of the index keeps what everyone downloads after that."""
        build = self._build(variant, "none", self._reference("warm-up", "cold"))
        self._run(variant, build, self._engine(variant))

    def build_first(self, variant: Variant) -> None:
        """Have the first build behind us, where it is not measured."""
        build = self._build(variant, "none", self._reference(variant.name, "cold"))
        self._run(variant, build, self._engine(variant))

    def export_cache(self, variant: Variant) -> None:
        """Have the image as first built, and its cache, in a repository for the fresh machine.

        A repository of its own: what other builds have pushed must not be there already.
        """
        build = self._build(variant, "none", self._reference(_fresh(variant), "first"))
        cache = f"type=registry,ref={self._reference(_fresh(variant), 'cache')}"
        self._run(variant, replace(build, cache_to=cache), self._engine(variant))

    def _keep(self, scenario: Scenario, variant: Variant) -> str | None:
        """Have what the fresh machine is going to find; give the cache that it reads."""
        repository, folder = _fresh(variant, scenario), self._workshop.kept / variant.name
        if scenario.kept == "registry":
            return f"type=registry,ref={self._reference(repository, 'cache')}"
        shutil.rmtree(folder, ignore_errors=True)
        by = self._using(scenario, variant)
        build = self._build(by, "none", self._reference(repository, "first"))
        if scenario.kept == "folder":
            build = replace(build, cache_to=f"type=local,dest={folder}")
            self._run(by, build, self._engine(variant))
            return f"type=local,src={folder}"
        self._empty(self._machines.fresh, keep_base=False)
        self._run(by, build, self._machines.fresh)
        return None

    def _using(self, scenario: Scenario, variant: Variant) -> Variant:
        """Give the variant with the setting by which it keeps something, and uses it."""
        if isinstance(variant, Plugin) and scenario.kept == "downloads":
            folder = self._workshop.kept / variant.name
            return replace(variant, setting=("download-cache", str(folder)))
        if isinstance(variant, Plugin) and scenario.kept == "image":
            image = self._reference(_fresh(variant, scenario), "first")
            return replace(variant, setting=("reuse-image", image))
        return variant

    def image(self, variant: Variant) -> Image:
        """Tell how large a variant's image is."""
        size = self._registry.image_size(f"bench/{variant.name}", "cold")
        return Image(size=self.packages.name, variant=variant.name, bytes=size)

    def python(self, variant: Variant, code: str, *, engine_of: Variant) -> str:
        """Run Python code in a variant's image and give its output."""
        engine = self._engine(engine_of)
        build = self._build(variant, "none", self._reference(variant.name, "start"))
        self._run(variant, build, engine)
        return docker(engine, "run", "--rm", "--network=none", build.tag, "python", "-c", code)

    def layers(self, variant: Variant) -> str:
        """Ask the plugin, in JSON, what a bump costs, by the sizes in the image as first built."""
        build = self._build(variant, "none", self._reference(variant.name, "cold"))
        env = {**self._workshop.environment, **self._engine(variant).env}
        command = [str(build.poetry), "docker", "layers", "--json", "--no-interaction", "--no-ansi"]
        docker(self._engine(variant), "pull", build.tag)  # a push has kept none
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

    def _run(self, variant: Variant, build: Build, engine: Engine) -> tuple[str, float]:
        command = variant.command(build)
        env = {**self._workshop.environment, **engine.env}
        started = time.monotonic()
        status, log = logged(command, build.folder, env)
        seconds = time.monotonic() - started
        name = f"{self.packages.name}-{build.tag.rpartition('/')[2].replace(':', '-')}"
        (self._logs / f"{name}.log").write_text(f"$ {shlex.join(command)}\n{log}", encoding="utf-8")
        if status:
            tail = "\n".join(log.strip().splitlines()[-15:])
            raise EngineError(f"{name} failed:\n{tail}")
        return log, seconds

    def _reference(self, repository: str, tag: str) -> str:
        return f"{self._registry.address}/bench/{repository}:{tag}"

    def _start_again(self, engine: Engine, variant: Variant) -> None:
        """Have an engine with the project as first built, and without what edits left there since.

        A Dockerfile by hand leaves gigabytes with each. Everything goes, since BuildKit, told to
        remove a part, loses more than that part.
        """
        say(f"{self.packages.name}   making room: {variant.name} is built from the start")
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
    """Name the repository of a fresh machine; one for each way to keep something."""
    kept = scenario.kept if scenario else "registry"
    return f"{variant.name}-fresh" if kept == "registry" else f"{variant.name}-fresh-{kept}"
