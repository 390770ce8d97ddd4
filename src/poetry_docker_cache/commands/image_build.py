"""Implements `poetry docker build`: plan the steps of the build, then run or print them."""

from __future__ import annotations

import contextlib
import os
import platform
import shlex
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from poetry_docker_cache.buildx.bake import permission_note
from poetry_docker_cache.buildx.build_folder import build_folder
from poetry_docker_cache.buildx.command_line import epoch_note, named_result, result_note
from poetry_docker_cache.buildx.engine import NO_OUTPUT
from poetry_docker_cache.buildx.engine_info import frontend_note
from poetry_docker_cache.buildx.open_caches import open_caches, shown_caches
from poetry_docker_cache.buildx.pipeline import Build, ImageBuild, build_steps, load_steps
from poetry_docker_cache.buildx.reuse import Reuse
from poetry_docker_cache.buildx.ssh_agent import refuse_without_agent
from poetry_docker_cache.buildx.step_runner import StepRunner
from poetry_docker_cache.buildx.step_secrets import not_passed, refuse_unset_secrets
from poetry_docker_cache.buildx.steps import AUTH_FILE, NPMRC_FILE, SCRIPTS, Places
from poetry_docker_cache.commands.background import Background
from poetry_docker_cache.commands.build_caches import decide_caches
from poetry_docker_cache.commands.build_display import own_display
from poetry_docker_cache.commands.build_files import read_vendored, render_files, scripts_beside
from poetry_docker_cache.commands.build_labels import (
    look_up_digests,
    origin_labels,
    request_labels,
)
from poetry_docker_cache.commands.build_report import Report, report_build
from poetry_docker_cache.commands.build_request import pushes, request_builds, unused_arguments
from poetry_docker_cache.commands.early_sboms import EarlySboms, start_licences
from poetry_docker_cache.commands.image_choice import chosen
from poetry_docker_cache.commands.image_notes import name_notes, print_notes, unused_notes
from poetry_docker_cache.commands.new_hosts import note_new_hosts
from poetry_docker_cache.commands.patience import saying
from poetry_docker_cache.commands.planned_image import collect_secret, plan_images
from poetry_docker_cache.commands.variant_build import (
    finished,
    options_of_tests,
    report_tests,
    tests_display,
)
from poetry_docker_cache.docker.platforms import host_platform
from poetry_docker_cache.plan.image_plan import TEST
from poetry_docker_cache.project.npm_settings import refuse_unset, user_npmrc
from poetry_docker_cache.project.reader import settings_table
from poetry_docker_cache.settings.image_tables import parse_images

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from poetry.poetry import Poetry

    from poetry_docker_cache.buildx.command_line import BuildRequest
    from poetry_docker_cache.buildx.engine_info import EngineInfo
    from poetry_docker_cache.buildx.step_runner import Display
    from poetry_docker_cache.commands.console import ProgressConsole
    from poetry_docker_cache.commands.options import BuildOptions
    from poetry_docker_cache.commands.planned_image import PlannedImage

_PATIENCE = 30.0
"""How many seconds it may take to attach SBOMs."""


def build_images(
    options: BuildOptions, poetry: Poetry, probe: Callable[[], EngineInfo], console: ProgressConsole
) -> int:
    """Build the images or print the commands; return BuildKit's exit status.

    `probe` waits for the engine's answer. Raises DockerCacheError.
    """
    with saying(console, "Reading the project"):
        planned = plan_images(poetry, options.images, options.own_selection, options.variants)
        images = tuple(finished(options, image) for image in planned)
    if not options.file:
        print_notes(console, images)
        notes = (*unused_notes(images), *unused_arguments(options, images))
        for note in () if options.variant == TEST else notes:
            console.note(note)
    requests = request_builds(options, images)
    reports = [
        Report.of(options, image, request, among=len(images) > 1)
        for image, request in zip(images, requests, strict=True)
    ]
    digest_of = look_up_digests(images if pushes(options) and not options.dry_run else ())
    with saying(console, "Waiting for Docker"):
        engine = probe()
    origins = origin_labels(images, read_vendored(options.file))
    reports = [
        report.labelled(
            request_labels(
                options, image, report.request, engine=engine, digest_of=digest_of, origin=origin
            )
        )
        for image, report, origin in zip(images, reports, origins, strict=True)
    ]
    work = _decide(options, images, reports, engine, console)
    for note in dict.fromkeys(work.notes()):
        console.note(note)
    if options.dry_run:
        _print_steps(work, console)
        return 0
    return _run_steps(work, console)


def run_tests(
    options: BuildOptions, poetry: Poetry, probe: Callable[[], EngineInfo], console: ProgressConsole
) -> int:
    """Run the tests in each image, one after the other; return the status of a failed build.

    Raises BuildError, with their exit status, for tests that fail.
    """
    names = chosen(options.images, parse_images(settings_table(poetry)) or [""])
    for name in names:
        own = options_of_tests(options, name, among=len(names) > 1)
        if status := build_images(own, poetry, probe, console):
            return status
    return 0


@dataclass(frozen=True, kw_only=True)
class _Work:
    """A build with its planned images and reports."""

    options: BuildOptions
    images: tuple[PlannedImage, ...]
    reports: tuple[Report, ...]
    build: Build
    npmrc: str = field(repr=False)
    """The user's configuration of npm for the builds of front ends."""
    display: Callable[[], Display] | None
    """Makes our display of the progress; None for BuildKit's."""

    @property
    def results(self) -> tuple[str, ...]:
        """The names of the images that are loaded or pushed."""
        engine = self.build.engine
        return tuple(named_result(image.request, engine) for image in self.build.images)

    def notes(self) -> Iterator[str]:
        """Yield the notes to print before the build."""
        engine = self.build.engine
        if asks := permission_note([built.request for built in self.build.images], engine):
            yield asks
        yield from name_notes(self.images, [report.request for report in self.reports])
        for image, built in zip(self.images, self.build.images, strict=True):
            frontend = (
                None
                if self.options.file
                else frontend_note(engine, image.plan.syntax, image.plan.needed_frontend)
            )
            last = (result_note(built.request, engine), epoch_note(os.environ))
            yield from filter(None, (frontend, *built.caches.notes, *last))

    def contexts(self) -> tuple[str, ...]:
        """Return the named contexts: the scripts, which a vendored Dockerfile may not have."""
        has_scripts = not self.options.file or scripts_beside(Path(self.options.file))
        return (SCRIPTS,) if has_scripts else ()

    def hidden(self) -> dict[str, tuple[str, ...]]:
        """Return, by image, the paths in the context that its build keeps or writes."""
        several = zip(self.images, self.build.images, self.reports, strict=True)
        return {
            image.image: (
                *(*built.caches.hidden, *built.reuse.hidden),
                *(*report.hidden, *image.kept),
            )
            for image, built, report in several
        }


def _decide(
    options: BuildOptions,
    images: tuple[PlannedImage, ...],
    reports: list[Report],
    engine: EngineInfo,
    console: ProgressConsole,
) -> _Work:
    """Decide everything about the build on this engine."""
    display = own_display(reports, engine, console)
    if options.variant == TEST:
        display = tests_display(display, console)
    # With `-q`, our display shows no progress, but reads it.
    reads = display is not None and options.quiet
    npmrc = user_npmrc((each for image in images for each in image.front_ends), os.environ)
    builds = tuple(
        _image_build(
            options,
            image,
            replace(report.request, progress=None) if reads else report.request,
            engine,
            needs_npmrc=bool(npmrc and image.front_ends),
        )
        for image, report in zip(images, reports, strict=True)
    )
    asks = any(report.wanted or _has_sbom(report) for report in reports)
    asks = asks or any(built.caches.exports for built in builds)
    build = Build(
        images=builds,
        engine=engine,
        docker=_docker(options, engine),
        environment=reports[0].environment(own_display=display is not None),
        metadata=asks and reports[0].theirs is None,
    )
    return _Work(
        options=options,
        images=images,
        reports=tuple(reports),
        build=build,
        npmrc=npmrc,
        display=display,
    )


def _image_build(
    options: BuildOptions,
    image: PlannedImage,
    request: BuildRequest,
    engine: EngineInfo,
    *,
    needs_npmrc: bool,
) -> ImageBuild:
    return ImageBuild(
        name=image.image,
        request=request,
        caches=decide_caches(options, image, request.tags, engine),
        reuse=Reuse.of(image.settings, image.plan.dependencies, request, project=image.name),
        needs_npmrc=needs_npmrc,
    )


def _docker(options: BuildOptions, engine: EngineInfo) -> tuple[str, ...]:
    """Return the start of a command line for the engine that buildx builds for."""
    named = options.builder or os.environ.get("BUILDX_BUILDER")
    # A builder of this driver has the name of its Docker context.
    context = ("--context", engine.builder) if named and engine.driver == "docker" else ()
    return ("docker", *context)


def _print_steps(work: _Work, console: ProgressConsole) -> None:
    """Print the commands, and on stderr the files that they need."""
    build = work.build
    places = Places.placeholders(build.names, vendored=work.options.file, contexts=work.contexts())
    caches = {image.name: shown_caches(image.caches) for image in build.images}
    steps = [*load_steps(build), *build_steps(build, places, caches)]
    for path, text in (item for step in steps for item in step.needs.items()):
        console.note(f"{path}:")
        console.message(text.rstrip())
    for step in steps:
        console.raw(f"{shlex.join(step.argv)}\n")


def _run_steps(work: _Work, console: ProgressConsole) -> int:
    """Run the steps, publish caches, print the report; return BuildKit's exit status."""
    build, engine = work.build, work.build.engine
    refuse_without_agent(
        [value for image in build.images for value in image.request.ssh], os.environ
    )
    refuse_unset(
        (name for image in work.images for each in image.front_ends for name in each.variables),
        os.environ,
    )
    for image, built in zip(work.images, build.images, strict=True):
        if not work.options.file:
            refuse_unset_secrets(not_passed(image.plan.secrets, built.request.options), os.environ)
    secret = collect_secret(work.images)
    note_new_hosts(console, secret.unconfirmed)
    widest = min((image.context for image in work.images), key=lambda path: len(path.parts))
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(build_folder(context=widest, docker=engine.docker))
        runner = StepRunner(
            note=console.note,
            write=folder.write,
            display=work.display,
            # With `--quiet`, buildx prints a digest, which some engines cannot run.
            build_output=NO_OUTPUT if any(work.results) else None,
        )
        caches = {
            image.name: stack.enter_context(open_caches(image.caches, build.docker, runner))
            for image in build.images
        }
        files = render_files(
            work.images,
            hidden=work.hidden(),
            secrets={AUTH_FILE: secret.text, NPMRC_FILE: work.npmrc},
            engine=engine,
            vendored=work.options.file,
        )
        for path, text in files.items():
            folder.write(path, text)
        folder.freeze(SCRIPTS)
        places = Places.below(
            str(folder.path),
            build.names,
            vendored=work.options.file,
            contexts=work.contexts(),
        )
        sboms = _start_sboms(work)
        outcome = runner.run_all(build_steps(build, places, caches))
        if work.options.variant == TEST:
            report_tests(outcome, work.images[0], console)
        if outcome.status:
            # Imported only here, so that a build starts sooner.
            from poetry_docker_cache.commands.failure_report import refuse  # noqa: PLC0415

            refuse(
                outcome,
                build,
                work.images,
                dockerfile=work.options.file,
                folder=str(folder.path),
                console=console,
            )
            return outcome.status
        metadata = Path(places.metadata)
        for report in work.reports:
            if report.builds:
                written = report.cache_was_written(metadata)
                for note in caches[report.image.image].publish(written=written):
                    console.note(note)
        _attach_sboms(sboms, metadata, console)
        if work.options.variant != TEST:
            report_build(work.reports, console, engine, metadata=metadata, outcome=outcome)
    return 0


def _has_sbom(report: Report) -> bool:
    """Return whether the image gets an SBOM: it is pushed, and built as planned."""
    return report.image.settings.sbom and report.request.push and report.is_whole


def _start_sboms(work: _Work) -> list[tuple[Report, EarlySboms]]:
    """Make the SBOMs while BuildKit works."""
    own = host_platform(platform.machine())
    reports = [report for report in work.reports if _has_sbom(report)]
    if not reports:
        return []
    licences = start_licences([report.image for report in reports])
    return [
        (report, EarlySboms(report.image, report.platforms or filter(None, [own]), licences))
        for report in reports
    ]


def _attach_sboms(
    sboms: list[tuple[Report, EarlySboms]], metadata: Path, console: ProgressConsole
) -> None:
    """Attach an SBOM to each pushed image, unless its registry takes too long."""
    pushed = [
        (report.request.tags, found, digest)
        for report, found in sboms
        if (digest := report.own(report.read(metadata)).get("containerimage.digest"))
    ]
    if not pushed:
        return
    # Imported only here, so that a build starts sooner.
    from poetry_docker_cache.commands.attach_sbom import attach_sbom, failed  # noqa: PLC0415
    from poetry_docker_cache.registry.registries import Registries  # noqa: PLC0415

    def attach() -> list[str]:
        with Registries() as registries:
            notes = [
                note
                for tags, found, digest in pushed
                for note in attach_sbom(found, tags, digest, registries)
            ]
        return notes or [found.note for _, found, _ in pushed[:1] if found.note]

    with saying(console, "Attaching the SBOM"):
        try:
            notes = Background(_PATIENCE).start(attach)()
        except TimeoutError:  # the builder may reach a registry that this machine does not
            notes = [failed(f"The registry did not answer within {_PATIENCE:.0f} seconds.")]
    for note in notes:
        console.note(note)
