"""The report of a build: a summary for people, and the metadata file for scripts."""

from __future__ import annotations

import functools
import itertools
import os
import shlex
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from poetry_docker_cache.buildx.command_line import (
    METADATA_OPTION,
    PROGRESS,
    builds_other,
    named_result,
    only_prints,
    requested_platforms,
)
from poetry_docker_cache.buildx.hidden_folders import hidden_paths
from poetry_docker_cache.commands.image_packages import packages_of
from poetry_docker_cache.comparison.package_changes import package_changes
from poetry_docker_cache.docker.image_labels import BASE_DIGEST
from poetry_docker_cache.plan.dependencies import ON_BUILD_IMAGE
from poetry_docker_cache.plan.image_plan import NO_COMMAND, Important
from poetry_docker_cache.report import earlier_build, metadata_file
from poetry_docker_cache.report.build_rows import push_seconds
from poetry_docker_cache.report.earlier_build import EarlierBuild
from poetry_docker_cache.report.layers import (
    Package,
    has_run,
    planned_layers,
    read_layers,
    versions,
)
from poetry_docker_cache.report.provenance import (
    VARIABLE,
    image_digest,
    image_size,
    without_details,
)
from poetry_docker_cache.report.summary import KEY, Base, RunStep, Summary, as_data, lines
from poetry_docker_cache.system.outward_links import refuse_outward_links

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from poetry_docker_cache.buildx.build_stream import BuildStream
    from poetry_docker_cache.buildx.command_line import BuildRequest
    from poetry_docker_cache.buildx.engine_info import EngineInfo
    from poetry_docker_cache.buildx.step_runner import Outcome
    from poetry_docker_cache.commands.console import Console
    from poetry_docker_cache.commands.options import BuildOptions
    from poetry_docker_cache.commands.planned_image import PlannedImage
    from poetry_docker_cache.plan.image_plan import Runtime
    from poetry_docker_cache.report.layers import Layer

_CACHE = "cache.manifest"
"""The metadata key of the cache that BuildKit has written."""
_SILENT = ("quiet", "rawjson")
"""Progress styles without a summary: no output, and output for programs."""
_MOVED = (
    f"The label {BASE_DIGEST} is wrong: the builder used another base image than its registry has."
    " Build again with --pull."
)
_DAY = 24 * 60 * 60


@dataclass(frozen=True, kw_only=True)
class Built:
    """An image that was made without an engine."""

    digest: str
    size: int
    """The bytes of its compressed layers."""
    base_digest: str
    platforms: int
    layers: tuple[Layer, ...]
    push_seconds: float | None
    name: str
    """The name that runs it; empty if it is only in an archive."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """The plan of what to report about one image, made before the build."""

    image: PlannedImage
    request: BuildRequest
    among: bool
    """Whether other images are built too: then the keys of buildx's metadata are image names."""
    file: Path | None
    """The value of `--metadata-file`."""
    theirs: str | None
    """The file for buildx's own metadata, from an argument after `--`."""
    vendored: bool
    """Whether the user's own Dockerfile is built (`--file`)."""
    progress: str
    """The style of BuildKit's progress output that an option chooses; empty if none does."""
    builds: bool
    """Whether buildx builds an image: with some options it only prints something."""
    shown: bool
    """Whether to print a summary."""

    @classmethod
    def of(
        cls, options: BuildOptions, image: PlannedImage, request: BuildRequest, *, among: bool
    ) -> Report:
        """Plan the report. Raises DockerCacheError if the metadata file cannot be written."""
        path = options.metadata_file
        if path is not None:
            metadata_file.refuse_unwritable(path)
            refuse_outward_links([Path(path)], image.folder)
        given = [*request.options]
        builds = not only_prints(given)
        progress = _value(given, "--progress") or request.progress or ""
        if not {"--quiet", "-q"}.isdisjoint(given):
            progress = "quiet"
        elif options.quiet and progress == "quiet":
            progress = ""  # not an option: our display shows nothing
        silent = options.quiet or (progress or os.environ.get(PROGRESS)) in _SILENT
        return cls(
            image=image,
            request=request,
            among=among,
            file=None if path is None else Path(path),
            theirs=_value(given, METADATA_OPTION),
            vendored=options.file is not None,
            progress=progress,
            builds=builds,
            shown=builds and not silent,
        )

    @property
    def wanted(self) -> bool:
        """Whether there is anything to print or write."""
        return self.shown or self.file is not None

    @property
    def hidden(self) -> tuple[str, ...]:
        """The path of the metadata file if it is in the context: it must not get into the image."""
        return hidden_paths([self.file] if self.file else [], self.image.context.resolve())

    def environment(self, *, own_display: bool) -> dict[str, str]:
        """Variables for buildx: how much provenance its metadata has.

        Its details have the sizes of the layers. Without our display, no provenance is fetched,
        which BuildKit would show as a step; a metadata file of the user always has it.
        """
        if self.theirs:
            return {}
        return {VARIABLE: "max" if own_display or self.file else "disabled"}

    def cache_was_written(self, path: Path) -> bool | None:
        """Return whether BuildKit wrote a cache to a registry or a folder; None if unknown."""
        metadata = self.own(self.read(path))
        return _CACHE in metadata if metadata else None

    def read(self, path: Path) -> dict[str, Any]:
        """Read buildx's metadata from this path, or from the user's `--metadata-file`."""
        return metadata_file.read(path if self.theirs is None else Path(self.theirs))

    def own(self, metadata: dict[str, Any]) -> dict[str, Any]:
        """Return the part of the metadata about this image."""
        found = metadata.get(self.image.image) if self.among else metadata
        return found if isinstance(found, dict) else {}

    def labelled(self, labels: Mapping[str, str]) -> Report:
        """Return the report of the same build with these labels."""
        return replace(self, request=replace(self.request, labels=labels))

    def show(self, console: Console, metadata: dict[str, Any], summary: Summary) -> None:
        """Print the summary. Without metadata, buildx's output already says everything."""
        if not self.shown or not metadata:
            return
        if self.among:
            console.message("", title=self.image.image)
        for title, text in lines(summary):
            console.message(text, title=title)
        for warning in summary.warnings:
            console.note(warning)

    @property
    def platforms(self) -> tuple[str, ...]:
        """The requested platforms; empty for the builder's own."""
        return tuple(sorted(requested_platforms(self.request)))

    def earlier(self) -> EarlierBuild | None:
        """Return the last build of the image on this machine; None if unknown."""
        return earlier_build.recall(self.image.folder, self._memory) if self.is_whole else None

    def remember(self, base: str | None, earlier: EarlierBuild | None) -> EarlierBuild:
        """Remember this build as the last one, and return it; `base` is the digest of its base."""
        known = earlier and (base is None or base == earlier.base) and not self.request.pull
        build = EarlierBuild(
            layers={layer: versions(packages) for layer, packages in self.planned.items()},
            base=base or (earlier.base if earlier else None),
            since=earlier.since if earlier and known else time.time(),
        )
        if self.is_whole:
            earlier_build.remember(self.image.folder, self._memory, build)
        return build

    @property
    def _memory(self) -> str:
        """The name under which a build is remembered."""
        return f"{self.image.image}{self.image.suffix} {' '.join(self.platforms)}"

    @property
    def is_whole(self) -> bool:
        """Whether it builds the whole image as planned."""
        return self.builds and not self.vendored and not builds_other(self.request)

    def summarise(
        self,
        metadata: Mapping[str, Any],
        outcome: Outcome,
        earlier: EarlierBuild | None,
        result: str,
    ) -> Summary:
        """Return the summary of this build, which is remembered as the last one."""
        digest = metadata.get("containerimage.digest")
        stream, runtime = outcome.stream, self.image.plan.runtime
        known = None if self.vendored else self.planned
        planned = None if known is None else planned_layers(known)
        seen = image_digest(metadata, runtime.image)
        this = self.remember(seen, earlier)
        # Without its digest, the base may be another one than in the last build.
        days = int((time.time() - this.since) / _DAY) if seen else 0
        base = Base(image=runtime.image, digest=seen, days=days)
        return Summary(
            seconds=outcome.seconds,
            tags=tuple(self.request.tags),
            layers=read_layers(stream, known) if stream else planned,
            steps=() if stream is None else self._steps(stream),
            changes=package_changes(earlier.layers, this.layers) if earlier else (),
            new_base=earlier is not None and earlier.base not in (None, this.base),
            digest=digest if isinstance(digest, str) else None,
            size=image_size(metadata),
            platforms=max(1, len(self.platforms)),
            push_seconds=None if stream is None else push_seconds(stream),
            base=None if self.vendored else base,
            starts=_starts(runtime) if self.is_whole else None,
            run=_run(result, runtime) if result and self.is_whole else (),
            warnings=tuple(note for note in self.image.plan.notes if isinstance(note, Important)),
        )

    def summarise_built(self, built: Built, seconds: float) -> Summary:
        """Return the summary of a build without an engine, which is remembered as the last one."""
        runtime, earlier = self.image.plan.runtime, self.earlier()
        this = self.remember(built.base_digest, earlier)
        days = int((time.time() - this.since) / _DAY)
        return Summary(
            seconds=seconds,
            tags=tuple(self.request.tags),
            layers=built.layers,
            changes=package_changes(earlier.layers, this.layers) if earlier else (),
            new_base=earlier is not None and earlier.base not in (None, this.base),
            digest=built.digest,
            size=built.size,
            platforms=built.platforms,
            push_seconds=built.push_seconds,
            base=Base(image=runtime.image, digest=built.base_digest, days=days),
            starts=_starts(runtime),
            run=_run(built.name, runtime) if built.name else (),
            warnings=tuple(note for note in self.image.plan.notes if isinstance(note, Important)),
        )

    def _steps(self, stream: BuildStream) -> tuple[RunStep, ...]:
        """Return the commands of `run`; a vendored Dockerfile may have others."""
        return tuple(
            RunStep(
                name=step.name,
                command=shlex.join(step.command),
                cached=not has_run(stream, step.name),
            )
            for step in (self.image.plan.steps if self.is_whole else ())
        )

    @functools.cached_property
    def planned(self) -> dict[str, tuple[Package, ...]]:
        """Return the packages by layer; a vendored Dockerfile may have other layers."""
        if self.vendored:
            return {}
        packages = packages_of(self.image)
        return {
            layer.name: tuple(
                Package(name=package.name, version=package.version)
                for package in packages
                if package.name in layer.packages
                and (package.kind in ON_BUILD_IMAGE) == layer.from_source
            )
            for layer in self.image.plan.dependencies.all_layers
        }


def report_build(
    reports: Sequence[Report],
    console: Console,
    engine: EngineInfo,
    *,
    metadata: Path,
    outcome: Outcome,
) -> None:
    """Report on all images of a successful build. `metadata` is buildx's file.

    Raises DockerCacheError if the user's metadata file cannot be written.
    """
    first = reports[0]
    found = first.read(metadata)
    for report in reports:
        if not report.builds:
            continue
        own = report.own(found)
        result = named_result(report.request, engine)
        summary = report.summarise(own, outcome, report.earlier(), result)
        report.show(console, own, summary)
        seen = summary.base.digest if summary.base else None
        if seen and report.request.labels.get(BASE_DIGEST, seen) != seen:
            console.note(_MOVED)
        if result:
            console.raw(f"{result}\n")
        own = own if os.environ.get(VARIABLE) else without_details(own)
        own = {**own, KEY: as_data(summary)}
        found = {**found, report.image.image: own} if report.among else own
    if first.file is not None:
        metadata_file.write(first.file, found)


def report_results(
    reports: Sequence[Report], results: Sequence[Built], console: Console, *, seconds: float
) -> None:
    """Report on all images of a build without an engine.

    Raises DockerCacheError if the metadata file cannot be written.
    """
    found: dict[str, Any] = {}
    for report, built in zip(reports, results, strict=True):
        summary = report.summarise_built(built, seconds)
        own = {
            "containerimage.digest": built.digest,
            "image.name": ",".join(report.request.tags),
            KEY: as_data(summary),
        }
        report.show(console, own, summary)
        if built.name:
            console.raw(f"{built.name}\n")
        found = {**found, report.image.image: own} if report.among else own
    if reports[0].file is not None:
        metadata_file.write(reports[0].file, found)


def _starts(runtime: Runtime) -> str:
    """Return the command that a container runs; if it has none, a note says more."""
    without = "nothing" if runtime.command == NO_COMMAND else "what the base image starts"
    return shlex.join(runtime.start_words) or without


def _run(image: str, runtime: Runtime) -> tuple[str, ...]:
    """Return the command that runs an image, with its ports; empty if the image starts nothing."""
    if runtime.command == NO_COMMAND:
        return ()
    published = [word for port in runtime.published_ports for word in ("-p", port)]
    return ("docker", "run", "--rm", *published, image)


def _value(arguments: Sequence[str], option: str) -> str | None:
    """Return the last value of an option in buildx's arguments, because buildx uses the last."""
    found = None
    for word, following in itertools.pairwise([*arguments, ""]):
        if word == option:
            found = following
        elif word.startswith(f"{option}="):
            found = word.partition("=")[2]
    return found
