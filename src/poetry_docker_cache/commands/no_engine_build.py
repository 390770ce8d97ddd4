"""Implements `poetry docker build --no-engine`: images from wheels, pushed, written or loaded."""

from __future__ import annotations

import contextlib
import functools
import os
import platform
import shutil
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from poetry_docker_cache.buildx.build_folder import build_folder
from poetry_docker_cache.buildx.command_line import PROGRESS
from poetry_docker_cache.buildx.hidden_folders import hidden_paths
from poetry_docker_cache.caches.spec import Store
from poetry_docker_cache.commands.build_labels import origin_labels, planned_labels
from poetry_docker_cache.commands.build_report import Built, Report, report_results
from poetry_docker_cache.commands.build_request import (
    given_arguments,
    request_builds,
    unused_arguments,
)
from poetry_docker_cache.commands.early_sboms import EarlySboms, start_licences
from poetry_docker_cache.commands.image_notes import name_notes, print_notes, unused_notes
from poetry_docker_cache.commands.new_hosts import note_new_hosts
from poetry_docker_cache.commands.no_engine_image import ImageWithoutEngine, Tools
from poetry_docker_cache.commands.no_engine_options import (
    cache_options,
    option_obstacles,
    refuse_without_output,
)
from poetry_docker_cache.commands.no_engine_output import (
    archive_to_load,
    load,
    push,
    write_output,
)
from poetry_docker_cache.commands.patience import saying
from poetry_docker_cache.commands.planned_image import collect_secret, plan_images
from poetry_docker_cache.commands.status_line import StatusLine
from poetry_docker_cache.docker.image_names import names_registry
from poetry_docker_cache.docker.platforms import MACHINES, host_platform
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.no_engine import obstacles
from poetry_docker_cache.no_engine.bytecode import host_python
from poetry_docker_cache.no_engine.known_layers import KnownLayers
from poetry_docker_cache.no_engine.wheel_downloads import WheelDownloads
from poetry_docker_cache.registry.registries import Registries
from poetry_docker_cache.registry.registry_client import Reference
from poetry_docker_cache.registry.registry_errors import RegistryError
from poetry_docker_cache.report.layers import Layer, Package
from poetry_docker_cache.system.cache_folder import cache_folder
from poetry_docker_cache.text import duration, fitting, megabytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from poetry.poetry import Poetry

    from poetry_docker_cache.buildx.command_line import BuildRequest
    from poetry_docker_cache.commands.console import ProgressConsole
    from poetry_docker_cache.commands.early_sboms import Licences
    from poetry_docker_cache.commands.no_engine_image import Part, PlatformImage
    from poetry_docker_cache.commands.no_engine_output import Result
    from poetry_docker_cache.commands.options import BuildOptions
    from poetry_docker_cache.commands.planned_image import PlannedImage

_AT_ONCE = 8
"""How many layers are made or uploaded at the same time."""
_THREADS = ("layer", "download")
"""How the names of threads begin that work for a build."""
_PATIENCE = 2.0
"""How many seconds these threads have to end after a signal."""
_WIDTH = 90
_MOST_NAMES = 40
"""The width of the layers' names in the status line."""


def build_without_engine(options: BuildOptions, poetry: Poetry, console: ProgressConsole) -> int:
    """Make the images; return 0. Raises DockerCacheError."""
    started = time.monotonic()
    obstacles.refuse(option_obstacles(options))
    with saying(console, "Reading the project"):
        planned = plan_images(poetry, options.images, options.selection)
    images = tuple(_with_arguments(image, given_arguments(options)) for image in planned)
    requests = request_builds(options, images)
    platforms = [_platforms(options, image) for image in images]
    _refuse_obstacles(images, platforms)
    print_notes(console, images)
    settings = (note for image in images for note in obstacles.unused_settings(image.settings))
    found = (
        *name_notes(images, requests),
        *unused_notes(images),
        *unused_arguments(options, images),
        *settings,
    )
    for note in dict.fromkeys(found):
        console.note(note)
    if options.dry_run:
        for request, names in zip(requests, platforms, strict=True):
            console.line(f"{', '.join(request.tags)} for {', '.join(names)}: needs no engine.")
        return 0
    refuse_without_output(options, images, requests, platforms)
    reports = [
        Report.of(options, image, request, among=len(images) > 1)
        for image, request in zip(images, requests, strict=True)
    ]
    note_new_hosts(console, collect_secret(images).unconfirmed)
    with (
        StatusLine(console, live=_is_live(options)) as status,
        _tools(poetry, options, images[0].context, status) as tools,
    ):
        if not options.no_cache:
            for each in zip(images, requests, platforms, strict=True):
                _look_in_images(options, *each, tools=tools, status=status)
        described = [image for image in images if options.push and image.settings.sbom]
        servers, earlier = tools.downloads.servers, tools.known.images
        licences = start_licences(described, servers, earlier) if described else None
        results = [
            _build(
                options,
                image,
                request,
                platforms=names,
                labels={**origin, **planned_labels(image, names)},
                licences=licences,
                tools=tools,
                status=status,
            )
            for image, request, names, origin in zip(
                images, requests, platforms, origin_labels(images), strict=True
            )
        ]
        if licences and (note := licences().note):
            status.note(note)
    report_results(reports, results, console, seconds=time.monotonic() - started)
    return 0


def _with_arguments(image: PlannedImage, given: Mapping[str, str]) -> PlannedImage:
    """Return the image with given build arguments as the defaults."""
    runtime = image.plan.runtime
    arguments = tuple(
        replace(each, default=given.get(each.name, each.default)) for each in runtime.arguments
    )
    plan = replace(image.plan, runtime=replace(runtime, arguments=arguments))
    return replace(image, plan=plan, git_version=given.get("VERSION", image.git_version))


def _is_live(options: BuildOptions) -> bool:
    """Whether the terminal can show a line that changes, and should."""
    style = options.progress or os.environ.get(PROGRESS)
    return style != "plain" and os.environ.get("TERM") != "dumb"


@contextlib.contextmanager
def _tools(
    poetry: Poetry, options: BuildOptions, context: Path, status: StatusLine
) -> Iterator[Tools]:
    memory = _memory()
    count = status.traffic.count
    # On a disk: layers may be larger than the memory.
    places = [Path(tempfile.gettempdir()), Path("/var/tmp")]  # noqa: S108  # our folder is private
    with (
        build_folder(context=context, bases=places) as folder,
        Registries(count) as registries,
        WheelDownloads(
            poetry, progress=functools.partial(count, "downloading wheels")
        ) as downloads,
        ThreadPoolExecutor(_AT_ONCE, thread_name_prefix=_THREADS[0]) as pool,
    ):
        try:
            yield Tools(
                poetry=poetry,
                registries=registries,
                downloads=downloads,
                known=KnownLayers(None if options.no_cache else memory),
                pool=pool,
                folder=folder.path,
                memory=memory,
            )
        except SystemExit as signal:
            downloads.stop()
            pool.shutdown(wait=False, cancel_futures=True)
            _leave(signal, folder.path)
            raise


def _leave(signal: SystemExit, folder: Path) -> None:
    """End the program after a signal, unless all threads end soon.

    A thread that waits for a server cannot be interrupted, and Python would wait for it.
    """
    end = time.monotonic() + _PATIENCE
    working = [each for each in threading.enumerate() if each.name.startswith(_THREADS)]
    try:
        for each in working:
            each.join(max(0.0, end - time.monotonic()))
    finally:  # a second signal does not change that
        if any(each.is_alive() for each in working):
            shutil.rmtree(folder, ignore_errors=True)
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(int(signal.code or 1))


def _memory() -> Path | None:
    try:
        return cache_folder()
    except RuntimeError:  # a user without a home
        return None


def _platforms(options: BuildOptions, image: PlannedImage) -> tuple[str, ...]:
    """Return the platforms to build for: the given ones, else those of the settings, else this one.

    Raises DockerCacheError for one without wheels.
    """
    given = [name.strip() for value in options.platforms for name in value.split(",")]
    wanted = [
        name if name.startswith("linux/") else f"linux/{name}" for name in filter(None, given)
    ]
    wanted = wanted or [*image.settings.platforms]
    if not wanted:
        own = host_platform(platform.machine())
        wanted = [own] if own else []
    unknown = [name for name in wanted if name not in MACHINES]
    if unknown or not wanted:
        raise DockerCacheError(
            f"There are no wheels for {', '.join(unknown) or platform.machine()}.",
            fix=f"Use --platform with one of {', '.join(MACHINES)}.",
        )
    return tuple(dict.fromkeys(wanted))


def _refuse_obstacles(images: Sequence[PlannedImage], platforms: Sequence[Sequence[str]]) -> None:
    """Raise DockerCacheError with all that needs an engine."""
    found: dict[obstacles.Obstacle, None] = {}
    for image, names in zip(images, platforms, strict=True):
        for each in obstacles.obstacles(
            image.plan,
            image.packages,
            [MACHINES[name] for name in names],
            host_python=host_python(),
            build_on_host=image.settings.build_on_host,
        ):
            found[each] = None
    obstacles.refuse([*found])


def _build(  # noqa: PLR0913  # all that determines a build
    options: BuildOptions,
    image: PlannedImage,
    request: BuildRequest,
    *,
    platforms: Sequence[str],
    labels: Mapping[str, str],
    licences: Licences | None,
    tools: Tools,
    status: StatusLine,
) -> Built:
    """Make one image, and push, write or load it. Raises DockerCacheError."""
    base = image.plan.runtime.image
    title = f"Building {', '.join(request.tags[:1])} on {base} for {', '.join(platforms)}"
    status.message(f"{title}, without a container engine")
    own = [Path(path) for path in (options.output, options.metadata_file) if path]
    unsent = hidden_paths(own, image.context.resolve())
    planner = ImageWithoutEngine(image, tools, unsent=unsent, labels=labels)
    sboms = EarlySboms(image, platforms, licences) if licences and image.settings.sbom else None
    with status.saying(f"Reading {base}"):
        found = [planner.plan(name) for name in platforms]
    _make(found, tools, status, every=options.output is not None or options.load)
    with status.saying(f"Checking the shared libraries of {base}"):
        for each in found:
            each.check(tools.known)
    seconds = None
    if options.push:
        with status.saying(f"Pushing {', '.join(request.tags)}"):
            pushed = push(found, request.tags, tools)
        result, seconds = pushed.result, pushed.seconds
        if sboms:
            _attach_sbom(sboms, request.tags, result, tools, status)
    if options.output is not None:
        with status.saying(f"Writing {options.output}"):
            result = write_output(found, request.tags, tools, Path(options.output))
        status.message(f"written: {options.output}")
    if options.load:
        with status.saying("Writing an archive to load"):
            loading = archive_to_load(found, request.tags, tools)
        result = load(loading)
    return Built(
        digest=result.top.descriptor.digest,
        size=result.size,
        base_digest=found[0].base.digest,
        platforms=len(found),
        layers=_layers(found),
        push_seconds=seconds,
        name=request.tags[0] if options.push or options.load else "",
    )


def _attach_sbom(
    sboms: EarlySboms, tags: Sequence[str], result: Result, tools: Tools, status: StatusLine
) -> None:
    # Imported only here, so that a build starts sooner.
    from poetry_docker_cache.commands.attach_sbom import attach_sbom  # noqa: PLC0415

    digest = result.top.descriptor.digest
    subjects = {each.platform: each.manifest.descriptor for each in result.images}
    with status.saying("Attaching the SBOM"):
        notes = attach_sbom(sboms, tags, digest, tools.registries, subjects=subjects)
    for note in notes:
        status.note(note)


def _look_in_images(  # noqa: PLR0913  # where to look, and for what
    options: BuildOptions,
    image: PlannedImage,
    request: BuildRequest,
    platforms: Sequence[str],
    *,
    tools: Tools,
    status: StatusLine,
) -> None:
    """Find the layers of earlier images. Those that cannot be read cost only time.

    Raises RegistryError if the image cannot be pushed, since its registry is not reached.
    """
    tags = [tag for tag in request.tags if options.push or names_registry(tag)]
    setting = image.settings.cache
    stated = setting.reference if isinstance(setting, Store) else ""
    named = cache_options(options) or ((stated,) if stated else ())
    for name in dict.fromkeys((*tags, *named)):
        reference = Reference.parse(name)
        registry = tools.registries.of(reference.host)
        try:
            with status.saying(f"Looking for layers in {name}"):
                for each in platforms:
                    tools.known.read_image(registry, reference.repository, reference.target, each)
        except RegistryError as error:
            if options.push and name in tags and not error.status:
                raise
            if not error.denied:  # a repository that does not exist may be denied
                status.note(f"No layers of {name} are used. {error.problem}")


def _make(found: Sequence[PlatformImage], tools: Tools, status: StatusLine, *, every: bool) -> None:
    """Make the layers that are not known, several at a time, and print a line for each.

    `every`: the content of the others is needed, too.
    """
    parts = [part for each in found for part in each.parts]
    wanted = {part.planned.key: part for part in parts if every or part.layer is None}
    for part in wanted.values():
        if part.planned.files and part.planned.files.manifest:
            tools.downloads.start(part.planned.files.files)
    jobs = {tools.pool.submit(part.make): part for part in wanted.values()}
    waiting = dict.fromkeys(part.planned.name for part in wanted.values())
    try:
        with status.saying(lambda: f"Making {fitting([*waiting], _MOST_NAMES)}"):
            for future in as_completed(jobs):
                future.result()
                waiting.pop(jobs[future].planned.name, None)
                status.message(_line(jobs[future]))
    finally:
        for future in jobs:
            future.cancel()
    cached = [part.planned.name for part in found[0].parts if part.planned.key not in wanted]
    if cached:
        status.message(f"cached: {fitting(cached, _WIDTH)}")


def _line(part: Part) -> str:
    """Return the line of a layer that was made."""
    files = part.planned.files.files if part.planned.files else ()
    names = fitting([f"{file.name} {file.version}" for file in files], _WIDTH)
    facts = (names, megabytes(part.provide().blob.size), duration(part.seconds))
    return f"{part.planned.name}: {', '.join(filter(None, facts))}"


def _layers(found: Sequence[PlatformImage]) -> tuple[Layer, ...]:
    """Return the layers of dependencies, of all platforms together, for the summary."""
    layers: dict[str, Layer] = {}
    for part in (part for each in found for part in each.parts):
        files, name = part.planned.files, part.planned.name
        if files is None or not files.manifest:
            continue
        before = layers.get(name)
        packages = {Package(name=file.name, version=file.version) for file in files.files}
        packages |= {*(before.packages or ())} if before else set()
        layers[name] = Layer(
            name=name,
            cached=not part.was_made and (before is None or bool(before.cached)),
            packages=tuple(sorted(packages, key=lambda package: package.name)),
        )
    return tuple(layers.values())
