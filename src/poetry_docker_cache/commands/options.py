"""The options of each command as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from poetry_docker_cache.project.selection import SelectionOptions

if TYPE_CHECKING:
    from poetry_docker_cache.plan.image_plan import VariantName
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
    output: str | None
    """The path of an OCI archive to write."""
    no_engine: bool
    """Whether to build without a container engine."""
    platforms: tuple[str, ...]
    build_args: tuple[str, ...]
    """`NAME=VALUE`, or a name whose value is in the environment."""
    ssh: tuple[str, ...]
    """The SSH agent or keys for git dependencies."""
    target: str | None
    file: str | None
    """The Dockerfile to build with, instead of a generated one."""
    cache: str | None
    cache_from: tuple[str, ...]
    cache_to: tuple[str, ...]
    builder: str | None
    no_cache: bool
    pull: bool
    refresh: bool
    """Whether to pull the base images and install the system packages again."""
    progress: str | None
    """Derived from Poetry's own options (`-q`, `--no-ansi`) if not given."""
    metadata_file: str | None
    dry_run: bool
    quiet: bool
    after_dashes: tuple[str, ...]
    """Arguments for buildx."""
    variant: VariantName | None = None
    """The image for development or tests to build; None for the image itself."""
    tests_first: bool = False
    """Whether to build only if the tests pass."""
    test_arguments: tuple[str, ...] = ()
    """Arguments for the tests."""
    network: str | None = None
    """The network of the steps of a test build, and of the tests."""

    @property
    def own_selection(self) -> SelectionOptions:
        """The groups and extras of the image itself: the options may be those of a variant."""
        return self.selection if not self.variant or self.tests_first else SelectionOptions()

    @property
    def variants(self) -> dict[VariantName, SelectionOptions]:
        """The groups and extras of the variant, if one is built."""
        if not self.variant:
            return {}
        return {self.variant: SelectionOptions() if self.tests_first else self.selection}


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """The options of `poetry docker export`, as typed."""

    images: tuple[str, ...] = ()
    """The images to export; empty for all."""
    selection: SelectionOptions
    output: str | None
    """None for the file at the project's root."""
    check: bool
    force: bool
    ignore_file: bool
    auth_file: str | None
    bake: bool = False
    compose: bool = False
    ci: CiKind | None = None
    no_engine: bool = False
    """Whether the pipeline builds without a container engine."""
    sign: bool = False
    """Whether the pipeline signs the images."""

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
    """The origin of the sizes (`--from`)."""
    built_image: str | None
    """The built image to take sizes from (`--image`)."""
    write: bool
    json: bool


@dataclass(frozen=True, kw_only=True)
class DoctorOptions:
    """The options of `poetry docker doctor`, as typed."""

    images: tuple[str, ...]
    """The images to check; empty for all."""
    selection: SelectionOptions
    json: bool
