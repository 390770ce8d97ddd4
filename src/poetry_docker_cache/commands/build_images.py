"""The work of `poetry docker build` for several images: one call of `docker buildx bake`."""

from __future__ import annotations

import contextlib
import os
import shlex
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from cleo.formatters.formatter import Formatter

from poetry_docker_cache.buildx.bake import Target, bake_command, bake_definition
from poetry_docker_cache.buildx.build_folder import build_folder
from poetry_docker_cache.buildx.cache_steps import (
    commands_after,
    commands_before,
    has_layout,
    hidden_paths,
    opened_caches,
    spelled,
)
from poetry_docker_cache.buildx.command_line import (
    SET_BY_BAKE,
    epoch_note,
    result_note,
    results,
)
from poetry_docker_cache.buildx.engine_info import frontend_note
from poetry_docker_cache.buildx.reuse import Reusing
from poetry_docker_cache.commands.build_caches import decide_caches, how_docker_is_called
from poetry_docker_cache.commands.build_image import (
    build_request,
    refuse_without_agent,
    run_build,
    secret_of,
    write_files,
)
from poetry_docker_cache.commands.build_report import Report
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.render.exported_files import dockerfile_name
from poetry_docker_cache.report import metadata_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from poetry_docker_cache.buildx.build_folder import BuildFolder
    from poetry_docker_cache.buildx.cache_plan import CachePlan
    from poetry_docker_cache.buildx.cache_steps import OpenCaches
    from poetry_docker_cache.buildx.command_line import BuildRequest
    from poetry_docker_cache.buildx.engine_info import EngineInfo
    from poetry_docker_cache.commands.build import BuildCommand
    from poetry_docker_cache.commands.planned_image import Prepared

_FOLDER = Path("<folder>")
"""What `--dry-run` shows in place of that of the temporary files."""
_FILE, _AUTH, _METADATA = "build/docker-bake.json", "secret/auth.toml", "metadata.json"


@dataclass(frozen=True, kw_only=True)
class _Image:
    """One of the images, and all that is decided for it before the build."""

    prepared: Prepared
    request: BuildRequest
    report: Report
    caches: CachePlan
    reusing: Reusing

    @classmethod
    def of(
        cls,
        command: BuildCommand,
        prepared: Prepared,
        request: BuildRequest,
        engine: EngineInfo,
    ) -> _Image:
        return cls(
            prepared=prepared,
            request=request,
            report=Report.of(command, prepared, request, among=True),
            caches=decide_caches(command, prepared, request, engine),
            reusing=Reusing.of(
                prepared.settings,
                prepared.plan.dependencies,
                request,
                command.note,
                project=prepared.name,
            ),
        )

    @property
    def name(self) -> str:
        return self.prepared.image

    @property
    def hidden(self) -> tuple[str, ...]:
        """What no image's build is to see of what this one keeps or writes."""
        several = (self.caches.hidden, self.reusing.hidden, self.report.hidden)
        return (*(path for paths in several for path in paths), *self.prepared.kept)

    def notes(self, engine: EngineInfo) -> Iterator[str]:
        """What is told before the build."""
        frontend = frontend_note(engine, self.prepared.plan.syntax)
        last = (result_note(self.request, engine), epoch_note(os.environ))
        yield from filter(None, (frontend, *self.caches.notes, *last))


def bake(
    command: BuildCommand, several: Sequence[Prepared], probe: Callable[[], EngineInfo]
) -> int:
    """Hear from the engine, write the temporary files, run BuildKit on all of them; its status."""
    _refuse_what_is_of_one(command, several)
    requests = [build_request(command, it, bakes=True) for it in several]
    engine = probe()
    images = [
        _Image.of(command, prepared, request, engine)
        for prepared, request in zip(several, requests, strict=True)
    ]
    for note in dict.fromkeys(note for image in images for note in image.notes(engine)):
        command.note(note)
    if command.option("dry-run"):
        _show(command, images, engine)
        return 0
    docker = how_docker_is_called(command, engine)
    if any(request.ssh for request in requests):
        refuse_without_agent(os.environ, bakes=True)
    secret = secret_of(several)
    with contextlib.ExitStack() as stack:
        widest = min((it.context for it in several), key=lambda folder: len(folder.parts))
        folder = stack.enter_context(build_folder(context=widest, docker=engine.docker))
        opened = {
            it.name: stack.enter_context(opened_caches(it.caches, docker, command.note))
            for it in images
        }
        folder.write(_AUTH, secret.text)
        argv, targets = _write(folder, images, opened, engine)
        for image in images:
            image.reusing.before(targets[image.name].dockerfile)
        started = time.monotonic()
        status = run_build(
            argv,
            environment=images[0].report.environment,
            engine=engine,
            docker=docker.command,
            note=command.note,
            images=len(images),
        )
        seconds = time.monotonic() - started
        metadata = folder.path / _METADATA
        for image in images:
            image.reusing.after(targets[image.name].dockerfile, status)
            if image.report.builds:
                written = image.report.cache_was_written(metadata)
                opened[image.name].after(status, written=written)
        if status == 0:
            _tell(images, engine, docker.command, metadata, seconds)
        return status


def _refuse_what_is_of_one(command: BuildCommand, several: Sequence[Prepared]) -> None:
    """Raise DockerCacheError for options that several images cannot share."""
    names = ", ".join(it.image for it in several)
    one = several[0].image
    if not all(tag.startswith(":") for tag in command.many("tag")):
        raise DockerCacheError(
            f"-t names one image, and these are to be built: {names}.",
            fix=f"Build one of them (`poetry docker build {one} -t …`), give a tag alone for all of"
            f" them (`-t :latest`), or set `image` in [tool.poetry-docker-cache.images.{one}].",
        )
    if command.option("file") is not None:
        raise DockerCacheError(
            f"--file is the Dockerfile of one image, and these are to be built: {names}.",
            fix=f"Build one of them: `poetry docker build {one} --file …`. `poetry docker export"
            " --bake` writes a file by which `docker buildx bake` builds all exported ones.",
        )
    for option in (word.partition("=")[0] for word in command.after_dashes):
        if path := SET_BY_BAKE.get(option):
            raise DockerCacheError(
                f"Several images are built by `docker buildx bake`, which has no {option}.",
                fix=f"Write `-- --set '*.{path}'`, or build one of them:"
                f" `poetry docker build {one} -- {option} …`.",
            )


def _write(
    folder: BuildFolder, images: Sequence[_Image], opened: dict[str, OpenCaches], engine: EngineInfo
) -> tuple[list[str], dict[str, Target]]:
    """Write what bake reads, and give its command line."""
    hidden = [image.prepared.context / path for image in images for path in image.hidden]
    targets = {}
    for image in images:
        caches = opened[image.name]
        request = replace(image.request, cache_from=caches.cache_from, cache_to=caches.cache_to)
        own = hidden_paths(hidden, image.prepared.context.resolve())
        dockerfile = write_files(folder, image.prepared, engine, own)
        targets[image.name] = Target(request=request, dockerfile=str(dockerfile))
    definition = bake_definition(targets, secret=str(folder.path / _AUTH), engine=engine)
    folder.write(_FILE, definition)
    return _command(images, targets, folder.path, engine), targets


def _command(
    images: Sequence[_Image], targets: dict[str, Target], folder: Path, engine: EngineInfo
) -> list[str]:
    asks = any(image.report.asks(targets[image.name].request) for image in images)
    return bake_command(
        targets,
        file=str(folder / _FILE),
        folder=str(folder),
        metadata=[metadata_file.OPTION, str(folder / _METADATA)] if asks else [],
        engine=engine,
    )


def _show(command: BuildCommand, images: Sequence[_Image], engine: EngineInfo) -> None:
    """Print all that would be run, and on stderr the file that bake would read."""
    docker = how_docker_is_called(command, engine).command
    targets = {}
    for image in images:
        cache_from, cache_to = spelled(image.caches, reads=has_layout)
        request = replace(image.request, cache_from=cache_from, cache_to=cache_to)
        dockerfile = _FOLDER / "build" / dockerfile_name(image.name)
        targets[image.name] = Target(request=request, dockerfile=str(dockerfile))
    commands = [argv for it in images for argv in commands_before(it.caches, docker)]
    commands.append(_command(images, targets, _FOLDER, engine))
    commands += [argv for it in images for argv in commands_after(it.caches, docker)]
    for image in images:
        commands = [*image.reusing.around(targets[image.name].dockerfile, commands)]
    definition = bake_definition(targets, secret=str(_FOLDER / _AUTH), engine=engine)
    command.note(f"{_FOLDER / _FILE}:")
    command.line_error(Formatter.escape(definition.rstrip()))
    for argv in commands:
        command.raw_line(shlex.join(argv))


def _tell(
    images: Sequence[_Image],
    engine: EngineInfo,
    docker: Sequence[str],
    metadata: Path,
    seconds: float,
) -> None:
    """Tell of each image; the file for machines has them by their names, as buildx does it."""
    first = images[0].report
    if not first.wanted:
        return
    found = metadata_file.read(metadata if first.theirs is None else Path(first.theirs))
    for image in images:
        words = [*results(image.request, engine), *image.request.options]
        found[image.name] = image.report.told(words, docker, metadata, seconds=seconds)
    if first.file is not None:
        metadata_file.write(first.file, found)
