"""The steps of a build in their order, for one image or several. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from poetry_docker_cache.buildx import cache_images, reuse
from poetry_docker_cache.buildx.bake import Target, bake_command, bake_definition
from poetry_docker_cache.buildx.command_line import METADATA_OPTION, build_command, only_prints
from poetry_docker_cache.buildx.steps import Step
from poetry_docker_cache.docker import go_csv

if TYPE_CHECKING:
    from collections.abc import Mapping

    from poetry_docker_cache.buildx.cache_plan import CachePlan
    from poetry_docker_cache.buildx.command_line import BuildRequest
    from poetry_docker_cache.buildx.engine_info import EngineInfo
    from poetry_docker_cache.buildx.open_caches import OpenCaches
    from poetry_docker_cache.buildx.reuse import Reuse
    from poetry_docker_cache.buildx.steps import Places


@dataclass(frozen=True, kw_only=True)
class ImageBuild:
    """One image of a build."""

    name: str
    """The name in the settings; empty for the only image of a project."""
    request: BuildRequest
    caches: CachePlan
    reuse: Reuse
    needs_npmrc: bool = False
    """Whether the build of a front end gets the user's configuration of npm."""


@dataclass(frozen=True, kw_only=True)
class Build:
    """A build, fully planned."""

    images: tuple[ImageBuild, ...]
    engine: EngineInfo
    docker: tuple[str, ...]
    """The start of docker commands other than BuildKit's."""
    environment: Mapping[str, str]
    """Default environment variables for buildx."""
    metadata: bool
    """Whether to have buildx write its metadata."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the images."""
        return tuple(image.name for image in self.images)


def load_steps(build: Build) -> list[Step]:
    """Return the steps that load images before the build, which refers to them by name."""
    caches = [image.caches for image in build.images]
    return [step for plan in caches for step in cache_images.load_steps(plan, build.docker)]


def build_steps(build: Build, places: Places, caches: Mapping[str, OpenCaches]) -> list[Step]:
    """Return the steps that import, build and export. `caches` are by image."""
    requests = {image.name: _request(image, places, caches[image.name]) for image in build.images}
    before: list[Step] = []
    wheels: list[Step] = []
    images: list[Step] = []
    for image in build.images:
        request, dockerfile = requests[image.name], places.dockerfiles[image.name]
        before += reuse.import_steps(image.reuse, request, places, dockerfile=dockerfile)
        wheels += reuse.export_steps(image.reuse, request, places, dockerfile=dockerfile)
        if not only_prints(request.options):
            images += cache_images.export_steps(image.caches, build.docker, places)
    return [*before, _main_step(build, places, requests), *wheels, *images]


def _request(image: ImageBuild, places: Places, caches: OpenCaches) -> BuildRequest:
    npmrc = [go_csv.record("id=npmrc", f"src={places.npmrc}")] if image.needs_npmrc else []
    return replace(
        image.request,
        secrets=[*image.request.secrets, *npmrc],
        cache_from=caches.cache_from,
        cache_to=caches.cache_to,
        contexts={**image.request.contexts, **places.contexts},
    )


def _main_step(build: Build, places: Places, requests: Mapping[str, BuildRequest]) -> Step:
    """Return the step that builds: `buildx build` for one image, `buildx bake` for several."""
    metadata = [METADATA_OPTION, places.metadata] if build.metadata else []
    targets = {
        name: Target(request=request, dockerfile=places.dockerfiles[name])
        for name, request in requests.items()
    }
    if len(targets) == 1:
        (target,) = targets.values()
        argv = build_command(
            target.request,
            dockerfile=target.dockerfile,
            secret=places.auth,
            metadata=metadata,
            engine=build.engine,
        )
        needs = {}
    else:
        argv = bake_command(
            targets,
            file=places.definition,
            folder=places.folder,
            metadata=metadata,
            engine=build.engine,
        )
        definition = bake_definition(targets, secret=places.auth, engine=build.engine)
        needs = {places.definition: definition}
    return Step(
        argv=tuple(argv),
        output="terminal",
        decides=True,
        environment=build.environment,
        needs=needs,
    )
