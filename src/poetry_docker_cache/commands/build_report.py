"""The report of a build: a summary for people, and the metadata file for scripts."""

from __future__ import annotations

import itertools
import os
import re
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from poetry_docker_cache.buildx.command_line import (
    METADATA_OPTION,
    only_prints,
    requested_platforms,
    results,
)
from poetry_docker_cache.buildx.hidden_folders import hidden_paths
from poetry_docker_cache.buildx.history import recall
from poetry_docker_cache.buildx.step_runner import PROGRESS
from poetry_docker_cache.commands.image_packages import packages_of
from poetry_docker_cache.plan.dependencies import ON_BUILD_IMAGE
from poetry_docker_cache.report import metadata_file
from poetry_docker_cache.report.base_age import read_base
from poetry_docker_cache.report.summary import (
    KEY,
    Package,
    Summary,
    as_data,
    blobs,
    bytes_of,
    lines,
    pushed,
    read_layers,
)
from poetry_docker_cache.system.outward_links import refuse_outward_links

if TYPE_CHECKING:
    from collections.abc import Sequence

    from poetry_docker_cache.buildx.command_line import BuildRequest
    from poetry_docker_cache.buildx.engine_info import EngineInfo
    from poetry_docker_cache.buildx.history import Record
    from poetry_docker_cache.commands.console import Console
    from poetry_docker_cache.commands.options import BuildOptions
    from poetry_docker_cache.commands.planned_image import PlannedImage
    from poetry_docker_cache.report.base_age import Base

_CACHE = "cache.manifest"
"""The metadata key of the cache that BuildKit has written."""
_PROVENANCE = "BUILDX_METADATA_PROVENANCE"
_SILENT = ("quiet", "rawjson")
"""Progress styles without a summary: no output, and output for programs."""
_RESULTS = ("--output", "-o")
_TO_REGISTRY = re.compile(r"\bpush=true\b|\btype=\"?registry\b")


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

    @property
    def environment(self) -> dict[str, str]:
        """Variables that keep the progress output the same as without metadata.

        A metadata file of the user includes the provenance, and fetching that is shown as a step.
        """
        return {} if self.file or self.theirs else {_PROVENANCE: "disabled"}

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

    def show(
        self,
        console: Console,
        metadata: dict[str, Any],
        record: Record,
        seconds: float,
    ) -> dict[str, Any]:
        """Print the summary, and return the content of the metadata file."""
        summary = self._summary(metadata, record, seconds)
        if self.shown and metadata:  # without metadata, buildx's output already says everything
            found = lines(summary)
            if self.among:
                console.message("", title=self.image.image)
            width = max(len(title) for title, _ in found) + 2
            for title, text in found:
                console.message(text, title=f"{title:{width}}")
        return {**metadata, KEY: as_data(summary)}

    def recall(
        self,
        metadata: dict[str, Any],
        docker: Sequence[str],
        engine: EngineInfo,
        path: Path,
    ) -> Record:
        """Ask docker for the record of the build."""
        words = [*results(self.request, engine), *self.request.options]
        return recall(
            docker,
            str(metadata.get("buildx.build.ref", "")),
            platforms=self.platforms,
            image=_only_in_the_engine(metadata),
            digest=str(metadata.get("containerimage.digest", "")),
            bundle=path.with_name("record.dockerbuild") if _pushes(words) else None,
        )

    @property
    def platforms(self) -> tuple[str, ...]:
        """The platforms that are asked for; empty for the builder's own."""
        return tuple(sorted(requested_platforms(self.request)))

    def _summary(self, metadata: dict[str, Any], record: Record, seconds: float) -> Summary:
        digest = metadata.get("containerimage.digest")
        sizes = blobs(record.manifests)
        return Summary(
            seconds=seconds,
            tags=tuple(self.request.tags),
            layers=read_layers(record.log, self.planned()),
            digest=digest if isinstance(digest, str) else None,
            size=sum(sizes.values()) if sizes else None,
            platforms=max(1, len(self.platforms)),
            unpacked=bytes_of(record.unpacked),
            pushed=pushed(record.trace, sizes or {}, str(metadata.get("image.name", ""))),
            base=self._base(record),
        )

    def _base(self, record: Record) -> Base | None:
        """Return the base, unless another Dockerfile or clock decides what is known about it."""
        if self.vendored or os.environ.get("SOURCE_DATE_EPOCH"):
            return None
        now = datetime.now(timezone.utc)
        return read_base(record.entries, self.image.plan, now=now, fresh=self.request.pull)

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
            for layer in self.image.plan.dependencies.layers
        }


def report_build(  # noqa: PLR0913  # the results of a build
    reports: Sequence[Report],
    console: Console,
    *,
    docker: Sequence[str],
    engine: EngineInfo,
    metadata: Path,
    seconds: float,
) -> None:
    """Report on all images of a successful build. `metadata` is buildx's file.

    Raises DockerCacheError if the user's metadata file cannot be written.
    """
    first = reports[0]
    if not first.wanted:
        return
    found = first.read(metadata)
    for report in reports:
        own = report.own(found)
        record = report.recall(own, docker, engine, metadata)
        shown = report.show(console, own, record, seconds)
        found = {**found, report.image.image: shown} if report.among else shown
    if first.file is not None:
        metadata_file.write(first.file, found)


def _value(arguments: Sequence[str], option: str) -> str | None:
    """Return the last value of an option in buildx's arguments, because buildx uses the last."""
    found = None
    for word, following in itertools.pairwise([*arguments, ""]):
        if word == option:
            found = following
        elif word.startswith(f"{option}="):
            found = word.partition("=")[2]
    return found


def _only_in_the_engine(metadata: dict[str, Any]) -> str:
    """Return the digest of an image in the classic store, which keeps no manifests; else ""."""
    image = metadata.get("containerimage.config.digest")
    known = "containerimage.descriptor" in metadata
    return image if isinstance(image, str) and not known else ""


def _pushes(argv: Sequence[str]) -> bool:
    """Return whether BuildKit pushes the image.

    The trace is not enough: a cache that is pushed to the image's repository looks the same there.
    """
    return any(
        option == "--push"
        or (option in _RESULTS and _TO_REGISTRY.search(value))
        or (option.startswith(_RESULTS) and _TO_REGISTRY.search(option))
        for option, value in itertools.pairwise([*argv, ""])
    )
