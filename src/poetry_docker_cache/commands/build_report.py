"""The report of a build: a summary for people, and the metadata file for scripts."""

from __future__ import annotations

import itertools
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from poetry_docker_cache.buildx.command_line import (
    METADATA_OPTION,
    requested_platforms,
    results,
    tells_only,
)
from poetry_docker_cache.buildx.hidden_folders import hidden_paths
from poetry_docker_cache.buildx.history import recall
from poetry_docker_cache.commands.image_packages import packages_of
from poetry_docker_cache.plan.dependencies import ON_BUILD_IMAGE
from poetry_docker_cache.report import metadata_file
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

if TYPE_CHECKING:
    from collections.abc import Sequence

    from poetry_docker_cache.buildx.command_line import BuildRequest
    from poetry_docker_cache.buildx.engine_info import EngineInfo
    from poetry_docker_cache.buildx.history import Record
    from poetry_docker_cache.commands.console import Console
    from poetry_docker_cache.commands.options import BuildOptions
    from poetry_docker_cache.commands.planned_image import PlannedImage

_CACHE = "cache.manifest"
"""The key under which BuildKit says which cache it has written."""
_PROVENANCE = "BUILDX_METADATA_PROVENANCE"
_PROGRESS = "BUILDKIT_PROGRESS"
_SILENT = ("quiet", "rawjson")
"""Progress styles that no summary follows: silence, and a program that reads it."""
_RESULTS = ("--output", "-o")
_TO_REGISTRY = re.compile(r"\bpush=true\b|\btype=\"?registry\b")


@dataclass(frozen=True, kw_only=True)
class Report:
    """What is reported about one image, decided before the build."""

    image: PlannedImage
    request: BuildRequest
    among: bool
    """Whether the image is built with others: buildx's metadata has them by their names."""
    file: Path | None
    """Where the user wants the metadata file."""
    theirs: str | None
    """Where buildx writes its metadata, by an argument after `--`."""
    vendored: bool
    builds: bool
    """Whether buildx makes an image; some options only make it print something."""
    shown: bool
    """Whether there is a summary."""

    @classmethod
    def of(
        cls, options: BuildOptions, image: PlannedImage, request: BuildRequest, *, among: bool
    ) -> Report:
        """Decide; raises DockerCacheError for a file that could not be written afterwards."""
        path = options.metadata_file
        if path is not None:
            metadata_file.refuse_unwritable(path)
        given = [*request.options]
        builds = not tells_only(given)
        progress = _value(given, "--progress") or request.progress or os.environ.get(_PROGRESS)
        silent = options.quiet or progress in _SILENT or not {"--quiet", "-q"}.isdisjoint(given)
        return cls(
            image=image,
            request=request,
            among=among,
            file=None if path is None else Path(path),
            theirs=_value(given, METADATA_OPTION),
            vendored=options.file is not None,
            builds=builds,
            shown=builds and not silent,
        )

    @property
    def wanted(self) -> bool:
        """Whether there is anything to report."""
        return self.shown or self.file is not None

    @property
    def hidden(self) -> tuple[str, ...]:
        """The file that an earlier build has left in the project: no part of the next image."""
        return hidden_paths([self.file] if self.file else [], self.image.context.resolve())

    @property
    def environment(self) -> dict[str, str]:
        """Variables with which buildx shows the same progress as without metadata.

        A file of the user's holds the provenance, too: fetching it is a step of the progress.
        """
        return {} if self.file or self.theirs else {_PROVENANCE: "disabled"}

    def cache_was_written(self, path: Path) -> bool | None:
        """Whether BuildKit wrote a cache to a registry or a folder; None if unknown."""
        metadata = self.own(self.read(path))
        return _CACHE in metadata if metadata else None

    def read(self, path: Path) -> dict[str, Any]:
        """Read buildx's metadata, which is at this path unless the user chose another."""
        return metadata_file.read(path if self.theirs is None else Path(self.theirs))

    def own(self, metadata: dict[str, Any]) -> dict[str, Any]:
        """Give the part of the metadata that is about this image."""
        found = metadata.get(self.image.image) if self.among else metadata
        return found if isinstance(found, dict) else {}

    def show(
        self,
        console: Console,
        metadata: dict[str, Any],
        record: Record,
        seconds: float,
    ) -> dict[str, Any]:
        """Show the summary, and give everything that is known for the metadata file."""
        summary = self._summary(metadata, record, seconds)
        if self.shown and metadata:  # without metadata there is nothing to add to buildx's output
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
        """Ask docker what it knows about the build."""
        words = [*results(self.request, engine), *self.request.options]
        return recall(
            docker,
            str(metadata.get("buildx.build.ref", "")),
            platforms=self._platforms,
            image=_only_in_the_engine(metadata),
            bundle=path.with_name("record.dockerbuild") if _pushes(words) else None,
        )

    @property
    def _platforms(self) -> tuple[str, ...]:
        return tuple(sorted(requested_platforms(self.request)))

    def _summary(self, metadata: dict[str, Any], record: Record, seconds: float) -> Summary:
        digest = metadata.get("containerimage.digest")
        sizes = blobs(record.manifests)
        return Summary(
            seconds=seconds,
            tags=tuple(self.request.tags),
            layers=read_layers(record.log, self._planned()),
            digest=digest if isinstance(digest, str) else None,
            size=sum(sizes.values()) if sizes else None,
            platforms=max(1, len(self._platforms)),
            unpacked=bytes_of(record.unpacked),
            pushed=pushed(record.trace, sizes or {}, str(metadata.get("image.name", ""))),
        )

    def _planned(self) -> dict[str, tuple[Package, ...]]:
        """The layers of our own Dockerfile; another one may have others."""
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


def report_build(  # noqa: PLR0913  # a build that ended
    reports: Sequence[Report],
    console: Console,
    *,
    docker: Sequence[str],
    engine: EngineInfo,
    metadata: Path,
    seconds: float,
) -> None:
    """Report on all images of a build that succeeded. `metadata` is buildx's file.

    Raises DockerCacheError if the user's file cannot be written after all.
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
    """The last value of an option among buildx's arguments, as buildx takes it."""
    found = None
    for word, following in itertools.pairwise([*arguments, ""]):
        if word == option:
            found = following
        elif word.startswith(f"{option}="):
            found = word.partition("=")[2]
    return found


def _only_in_the_engine(metadata: dict[str, Any]) -> str:
    """The image, if it is in a classic store, where it has a configuration and no manifest."""
    image = metadata.get("containerimage.config.digest")
    known = "containerimage.descriptor" in metadata
    return image if isinstance(image, str) and not known else ""


def _pushes(argv: Sequence[str]) -> bool:
    """Whether BuildKit sends the image to a registry.

    A cache alone may go to the repository that the image is named after, and be taken for it.
    """
    return any(
        option == "--push"
        or (option in _RESULTS and _TO_REGISTRY.search(value))
        or (option.startswith(_RESULTS) and _TO_REGISTRY.search(option))
        for option, value in itertools.pairwise([*argv, ""])
    )
