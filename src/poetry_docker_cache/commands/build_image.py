"""The work of `poetry docker build` for one image."""

from __future__ import annotations

import os
import shlex
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from poetry_docker_cache.buildx.build_folder import BuildFolder, build_folder
from poetry_docker_cache.buildx.cache_steps import (
    commands_after,
    commands_before,
    has_layout,
    opened_caches,
    spelled,
)
from poetry_docker_cache.buildx.command_line import (
    BuildRequest,
    build_command,
    epoch_note,
    names_context,
    options_for,
    result_note,
)
from poetry_docker_cache.buildx.engine import run
from poetry_docker_cache.buildx.engine_info import frontend_note
from poetry_docker_cache.buildx.history import lost_a_layer
from poetry_docker_cache.buildx.reuse import Reusing
from poetry_docker_cache.commands.build_caches import decide_caches, how_docker_is_called
from poetry_docker_cache.commands.build_report import Report
from poetry_docker_cache.commands.image_choice import no_context
from poetry_docker_cache.docker import platforms
from poetry_docker_cache.docker.image_names import default_tag, tagged
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.project.credentials import collect
from poetry_docker_cache.render.dockerfile import render_dockerfile, render_ignore_file
from poetry_docker_cache.render.exported_files import dockerfile_name, with_banner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from poetry_docker_cache.buildx.cache_plan import CachePlan
    from poetry_docker_cache.buildx.cache_steps import Docker
    from poetry_docker_cache.buildx.engine_info import EngineInfo
    from poetry_docker_cache.commands.build import BuildCommand
    from poetry_docker_cache.commands.planned_image import Prepared
    from poetry_docker_cache.plan.model import Dependencies
    from poetry_docker_cache.project.credentials import AuthSecret

# What `--dry-run` shows in place of the temporary files.
_DOCKERFILE, _AUTH, _METADATA = "<dockerfile>", "<auth>", "<metadata>"


def build(command: BuildCommand, prepared: Prepared, probe: Callable[[], EngineInfo]) -> int:
    """Hear from the engine, write the temporary files, run BuildKit; its status."""
    vendored = command.vendored()
    request = build_request(command, prepared)
    report = Report.of(command, prepared, request)
    engine = probe()
    caches = decide_caches(command, prepared, request, engine)
    docker = how_docker_is_called(command, engine)
    how = prepared.plan.dependencies
    reusing = Reusing.of(prepared.settings, how, request, command.note, project=prepared.name)
    frontend = None if vendored else frontend_note(engine, prepared.plan.syntax)
    last = (result_note(request, engine), epoch_note(os.environ))
    for note in filter(None, (frontend, *caches.notes, *last)):
        command.note(note)
    if command.option("dry-run"):
        commands = _commands(request, caches, docker, report, engine)
        for argv in reusing.around(vendored or _DOCKERFILE, commands):
            command.raw_line(shlex.join(argv))
        return 0
    if request.ssh:
        refuse_without_agent(os.environ)
    secret = secret_of([prepared])
    with (
        build_folder(context=prepared.context, docker=engine.docker) as folder,
        opened_caches(caches, docker, command.note) as opened,
    ):
        others = prepared.kept if prepared.image else ()
        found = (*caches.hidden, *reusing.hidden, *report.hidden, *others)
        hidden = tuple(dict.fromkeys(found))
        dockerfile = vendored or write_files(folder, prepared, engine, hidden)
        auth = folder.write("secret/auth.toml", secret.text)
        metadata = folder.path / "metadata.json"
        request = replace(request, cache_from=opened.cache_from, cache_to=opened.cache_to)
        request = report.asking(request, str(metadata))
        argv = build_command(request, dockerfile=str(dockerfile), secret=str(auth), engine=engine)
        reusing.before(str(dockerfile))
        started = time.monotonic()
        status = run_build(
            argv,
            environment=report.environment,
            engine=engine,
            docker=docker.command,
            note=command.note,
        )
        seconds = time.monotonic() - started
        reusing.after(str(dockerfile), status)
        if report.builds:
            opened.after(status, written=report.cache_was_written(metadata))
        if status == 0:
            report.tell(argv, docker.command, metadata, seconds=seconds)
        return status


def _commands(
    request: BuildRequest,
    caches: CachePlan,
    docker: Docker,
    report: Report,
    engine: EngineInfo,
) -> Iterator[list[str]]:
    """All that would be run, with names in place of the temporary files."""
    yield from commands_before(caches, docker.command)
    cache_from, cache_to = spelled(caches, reads=has_layout)
    request = replace(request, cache_from=cache_from, cache_to=cache_to)
    request = report.asking(request, _METADATA)
    dockerfile = report.command.vendored() or _DOCKERFILE
    yield build_command(request, dockerfile=dockerfile, secret=_AUTH, engine=engine)
    yield from commands_after(caches, docker.command)


def build_request(
    command: BuildCommand, prepared: Prepared, *, bakes: bool = False
) -> BuildRequest:
    """What the command line and the settings ask of buildx for one image, or among others."""
    if names_context(command.after_dashes):
        raise no_context(".")
    among = prepared.image if bakes else ""
    said = options_for(command.after_dashes, among)
    return BuildRequest(
        tags=_tags(command, prepared),
        build_arguments={"VERSION": prepared.git_version} if prepared.git_version else {},
        ssh=passes_agent(prepared.plan.dependencies, said),
        push=command.option("push"),
        load=command.option("load"),
        platforms=platforms.to_build(
            command.many("platform"),
            own=prepared.settings.platforms,
            push=command.option("push"),
            arguments=said,
        ),
        target=command.option("target"),
        builder=command.option("builder"),
        no_cache=bool(command.option("no-cache")),
        pull=command.option("pull"),
        progress=command.progress(),
        arguments=command.after_dashes,
        image=among,
        context=str(prepared.context),
        place=prepared.plan.folder,
    )


def _tags(command: BuildCommand, prepared: Prepared) -> list[str]:
    """What the image is called: a tag alone, as `-t :dev` gives it, is one of its own name."""

    def own(version: str | None) -> str:
        image = prepared.settings.image
        return default_tag(prepared.name, version, image=image, among=prepared.image)

    if not (given := command.many("tag")):
        return [own(prepared.git_version or prepared.version)]
    # A project without a name has none of its own, and needs none where each is named in full.
    name = own(None) if any(it.startswith(":") for it in given) else ""
    return [tagged(name, it) for it in given]


def write_files(
    folder: BuildFolder, prepared: Prepared, engine: EngineInfo, hidden: Sequence[str]
) -> Path:
    """Write the Dockerfile and its ignore file, in a folder without the secret; its path."""
    name = dockerfile_name(prepared.image)
    plan = prepared.plan
    if prepared.settings.syntax == "auto" and engine.frontend_is_enough:
        plan = replace(plan, syntax=None)
    dockerfile = with_banner(render_dockerfile(plan), syntax=plan.syntax)
    ignore = render_ignore_file(plan, plan.located("Dockerfile"), hidden, prepared.beside)
    folder.write(f"build/{name}.dockerignore", with_banner(ignore))
    return folder.write(f"build/{name}", dockerfile)


_FAILED = 1
"""buildx's status where the build failed, rather than what it was told, or by a signal."""


def run_build(  # noqa: PLR0913  # the command, and what it is run with
    argv: Sequence[str],
    *,
    environment: Mapping[str, str],
    engine: EngineInfo,
    docker: Sequence[str],
    note: Callable[[str], None],
    images: int = 1,
) -> int:
    """Run a command that builds so many images, and give its status; signals end it, not us.

    `docker` is how the client is called besides. Raises DockerCacheError where the command cannot
    be started.
    """
    status = run(argv, env=environment)
    unpacks = engine.driver == "docker" and engine.store == "containerd"
    if status != _FAILED or not unpacks or not lost_a_layer(docker, engine.builder, builds=images):
        return status
    note(
        "The engine threw away layers of the older image of this name while it unpacked the new "
        "one on them (moby/buildkit#6521): building again, all is cached."
    )
    return run(argv, env=environment)


def secret_of(images: Sequence[Prepared]) -> AuthSecret:
    """The credentials that the builds of these images need; raises what `collect` does."""
    sources = tuple(dict.fromkeys(name for it in images for name in it.sources))
    addresses = tuple(sorted({address for it in images for address in it.addresses}))
    return collect(images[0].poetry, sources, addresses)


_OPTION = "--ssh"


def passes_agent(dependencies: Dependencies, arguments: Sequence[str]) -> bool:
    """Whether a build passes on the agent: where it needs one, and the user has not said which."""
    said = any(word.partition("=")[0] == _OPTION for word in arguments)
    return dependencies.ssh and not said


def refuse_without_agent(environment: Mapping[str, str], *, bakes: bool = False) -> None:
    """Raise DockerCacheError where no agent runs: buildx could not even start."""
    if environment.get("SSH_AUTH_SOCK") or sys.platform == "win32":  # there it has a fixed name
        return
    own = "--set '*.ssh=default=PATH'" if bakes else "--ssh default=PATH"
    raise DockerCacheError(
        "A git dependency comes over ssh, and no SSH agent runs here whose keys the build could"
        " use: SSH_AUTH_SOCK is not set.",
        fix='Start one and add your key:\n\n    eval "$(ssh-agent)"\n    ssh-add\n\n'
        f"Or pass a key of your choice to BuildKit: `-- {own}`.",
    )
