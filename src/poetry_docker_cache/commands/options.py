"""The command lines of `poetry docker`, read: what the work is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from poetry_docker_cache.project.selection import SelectionOptions
    from poetry_docker_cache.render.ci_files import CiKind


@dataclass(frozen=True, kw_only=True)
class BuildOptions:
    """The options of `poetry docker build`, as typed."""

    images: tuple[str, ...]
    """The images to build; empty for all."""
    selection: SelectionOptions
    tags: tuple[str, ...]
    push: bool
    load: bool
    platforms: tuple[str, ...]
    target: str | None
    file: str | None
    """The Dockerfile to build with, instead of a generated one."""
    cache: str | None
    cache_from: tuple[str, ...]
    cache_to: tuple[str, ...]
    builder: str | None
    no_cache: bool
    pull: bool
    progress: str | None
    """Poetry's own options count, too."""
    metadata_file: str | None
    dry_run: bool
    quiet: bool
    after_dashes: tuple[str, ...]
    """Arguments for buildx."""


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """The options of `poetry docker export`, as typed."""

    images: tuple[str, ...] = ()
    """The images to export; empty for all."""
    selection: SelectionOptions
    output: str | None
    """None is the file at the project's root, wherever the command was called."""
    check: bool
    force: bool
    ignore_file: bool
    auth_file: str | None
    bake: bool = False
    ci: CiKind | None = None

    @property
    def to_stdout(self) -> bool:
        """Whether `-o -` was given."""
        return self.output == "-"


@dataclass(frozen=True, kw_only=True)
class LayersOptions:
    """The options of `poetry docker layers`, as typed."""

    images: tuple[str, ...]
    """The images to show; empty for all."""
    selection: SelectionOptions
    origin: str | None
    """Where the sizes come from (`--from`)."""
    built_image: str | None
    """The built image to take them from (`--image`)."""
    write: bool
    json: bool
