"""What `poetry docker build` tells when the image is there: a summary, and a file for machines."""

from __future__ import annotations

import itertools
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cleo.formatters.formatter import Formatter

from poetry_docker_cache.buildx.cache_steps import hidden_paths
from poetry_docker_cache.buildx.command_line import requested_platforms, tells_only
from poetry_docker_cache.buildx.history import recall
from poetry_docker_cache.commands.show_layers import packages_of
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
    from poetry_docker_cache.buildx.history import Record
    from poetry_docker_cache.commands.build import BuildCommand
    from poetry_docker_cache.commands.planned_image import Prepared

_CACHE = "cache.manifest"
"""Where BuildKit tells which cache it has written."""
_PROVENANCE = "BUILDX_METADATA_PROVENANCE"
_PROGRESS = "BUILDKIT_PROGRESS"
_SILENT = ("quiet", "rawjson")
"""Forms of progress whose reader wants no words of ours: nobody, and a program."""
_RESULTS = ("--output", "-o")
_TO_REGISTRY = re.compile(r"\bpush=true\b|\btype=\"?registry\b")


@dataclass(frozen=True, kw_only=True)
class Report:
    """What is to be told of a build, decided before it starts."""

    command: BuildCommand
    prepared: Prepared
    among: bool = False
    """Whether the image is built along with others, of which buildx tells by their names."""
    tags: tuple[str, ...]
    platforms: tuple[str, ...]
    file: Path | None
    """Where the user wants to have it for machines."""
    theirs: str | None
    """Where buildx writes its own metadata anyway, by an argument behind `--`."""
    builds: bool
    """Whether buildx makes an image, rather than telling something."""
    shown: bool

    @classmethod
    def of(
        cls,
        command: BuildCommand,
        prepared: Prepared,
        request: BuildRequest,
        *,
        among: bool = False,
    ) -> Report:
        """Decide; raises DockerCacheError for a file that could not be written afterwards."""
        path: str | None = command.option("metadata-file")
        if path is not None:
            metadata_file.refuse_unwritable(path)
        given = [*request.options]
        builds = not tells_only(given)
        progress = _value(given, "--progress") or request.progress or os.environ.get(_PROGRESS)
        silent = (
            command.io.output.is_quiet()
            or progress in _SILENT
            or not {"--quiet", "-q"}.isdisjoint(given)
        )
        return cls(
            command=command,
            prepared=prepared,
            among=among,
            tags=tuple(request.tags),
            platforms=tuple(sorted(requested_platforms(request))),
            file=None if path is None else Path(path),
            theirs=_value(given, metadata_file.OPTION),
            builds=builds,
            shown=builds and not silent,
        )

    @property
    def wanted(self) -> bool:
        """Whether anybody is to be told anything."""
        return self.shown or self.file is not None

    @property
    def hidden(self) -> tuple[str, ...]:
        """The file that an earlier build has left in the project: no part of the next image."""
        return hidden_paths([self.file] if self.file else [], self.prepared.context.resolve())

    @property
    def environment(self) -> dict[str, str]:
        """The environment in which buildx shows the same progress as without metadata.

        For a file of the user's it holds the provenance, too, and a step of progress fetches that.
        """
        ours = {} if self.file or self.theirs else {_PROVENANCE: "disabled"}
        return {**ours, **os.environ}

    def asks(self, request: BuildRequest) -> bool:
        """Whether buildx is to leave its metadata for us."""
        return bool(self.wanted or request.cache_to) and self.theirs is None

    def asking(self, request: BuildRequest, path: str) -> BuildRequest:
        """The request, such that buildx leaves its metadata at a path for us to read."""
        if not self.asks(request):
            return request
        return replace(request, arguments=(metadata_file.OPTION, path, *request.arguments))

    def cache_was_written(self, path: Path) -> bool | None:
        """Whether BuildKit wrote a cache to a registry or a folder; None where it does not say."""
        metadata = self._left(path)
        return _CACHE in metadata if metadata else None

    def tell(
        self, argv: Sequence[str], docker: Sequence[str], path: Path, *, seconds: float
    ) -> None:
        """Tell of the build that a command has done in so many seconds; ask docker what it knows.

        Raises DockerCacheError where the user's file cannot be written after all.
        """
        if not self.wanted:
            return
        found = self.told(argv, docker, path, seconds=seconds)
        if self.file is not None:
            metadata_file.write(self.file, found)

    def told(
        self, argv: Sequence[str], docker: Sequence[str], path: Path, *, seconds: float
    ) -> dict[str, Any]:
        """Show the summary, and give all that is known for machines."""
        metadata = self._left(path)
        reference = str(metadata.get("buildx.build.ref", ""))
        record = recall(
            docker,
            reference,
            platforms=self.platforms,
            image=_only_in_the_engine(metadata),
            bundle=path.with_name("record.dockerbuild") if _pushes(argv) else None,
        )
        summary = self._summary(metadata, record, seconds)
        if self.shown and metadata:  # else buildx has told nothing, and there is nothing to add
            self._show(summary)
        return {**metadata, KEY: as_data(summary)}

    def _left(self, path: Path) -> dict[str, Any]:
        found = metadata_file.read(path if self.theirs is None else Path(self.theirs))
        if not self.among:
            return found
        own = found.get(self.prepared.image)
        return own if isinstance(own, dict) else {}

    def _summary(self, metadata: dict[str, Any], record: Record, seconds: float) -> Summary:
        digest = metadata.get("containerimage.digest")
        sizes = blobs(record.manifests)
        return Summary(
            seconds=seconds,
            tags=self.tags,
            layers=read_layers(record.log, self._planned()),
            digest=digest if isinstance(digest, str) else None,
            size=sum(sizes.values()) if sizes else None,
            platforms=max(1, len(self.platforms)),
            unpacked=bytes_of(record.unpacked),
            pushed=pushed(record.trace, sizes or {}, str(metadata.get("image.name", ""))),
        )

    def _planned(self) -> dict[str, tuple[Package, ...]]:
        """The layers of our own Dockerfile; another one may have others."""
        if self.command.option("file") is not None:
            return {}
        packages = packages_of(self.prepared)
        return {
            layer.name: tuple(
                Package(name=it.name, version=it.version)
                for it in packages
                if it.name in layer.packages and (it.kind in ON_BUILD_IMAGE) == layer.from_source
            )
            for layer in self.prepared.plan.dependencies.layers
        }

    def _show(self, summary: Summary) -> None:
        told = lines(summary)
        if self.among:
            self.command.line_error(f"<info>{self.prepared.image}</info>")
        width = max(len(title) for title, _ in told) + 2
        for title, text in told:
            self.command.line_error(f"<info>{title:{width}}</info>{Formatter.escape(text)}")


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
