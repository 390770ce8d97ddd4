"""The work of `poetry docker build`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from poetry_docker_cache.buildkit import (
    BuildRequest,
    build_command,
    default_tag,
    result_note,
    shell_quoted,
)
from poetry_docker_cache.commands.preparing import Prepared, prepare
from poetry_docker_cache.credentials import collect
from poetry_docker_cache.engine import probe, run
from poetry_docker_cache.engine.frontends import frontend_note
from poetry_docker_cache.render import render_dockerfile, render_ignore_file
from poetry_docker_cache.vendor import with_banner
from poetry_docker_cache.workspace import Workspace, workspace

if TYPE_CHECKING:
    from pathlib import Path

    from poetry_docker_cache.commands.build import BuildCommand
    from poetry_docker_cache.engine import EngineInfo

# What `--dry-run` shows in place of the temporary files.
_DOCKERFILE, _AUTH = "<dockerfile>", "<auth>"


def build(command: BuildCommand) -> int:
    """Probe the engine, write the temporary files, run BuildKit; its status."""
    vendored = command.vendored()
    prepared = prepare(command, notes=not vendored)
    request = _request(command, prepared)
    engine = probe(request.builder)
    if not vendored and (note := frontend_note(engine, prepared.plan.syntax)):
        command.note(note)
    if note := result_note(request, engine):
        command.note(note)
    if command.option("dry-run"):
        argv = build_command(
            request,
            dockerfile=vendored or _DOCKERFILE,
            secret=_AUTH,
            engine=engine,
        )
        command.raw_line(shell_quoted(argv))
        return 0
    secret = collect(prepared.poetry, prepared.sources)
    with workspace(context=prepared.folder, docker=engine.docker) as folder:
        dockerfile = vendored or _write_files(folder, prepared, engine)
        auth = folder.write("secret/auth.toml", secret.text)
        argv = build_command(request, dockerfile=str(dockerfile), secret=str(auth), engine=engine)
        return run(argv)


def _request(command: BuildCommand, prepared: Prepared) -> BuildRequest:
    image = prepared.settings.image
    version = prepared.git_version or prepared.version
    return BuildRequest(
        tags=command.many("tag") or [default_tag(prepared.name, version, image=image)],
        build_arguments={"VERSION": prepared.git_version} if prepared.git_version else {},
        push=command.option("push"),
        load=command.option("load"),
        platforms=command.many("platform"),
        target=command.option("target"),
        cache_from=command.many("cache-from"),
        cache_to=command.many("cache-to"),
        builder=command.option("builder"),
        no_cache=bool(command.option("no-cache")),
        pull=command.option("pull"),
        progress=command.progress(),
        arguments=command.after_dashes,
        context=str(prepared.folder),
    )


def _write_files(folder: Workspace, prepared: Prepared, engine: EngineInfo) -> Path:
    """The Dockerfile and its ignore file, in a folder without the secret."""
    plan = prepared.plan
    if prepared.settings.syntax == "auto" and engine.frontend_is_enough:
        plan = replace(plan, syntax=None)
    dockerfile = with_banner(render_dockerfile(plan), syntax=plan.syntax)
    folder.write(
        "build/Dockerfile.dockerignore", with_banner(render_ignore_file(plan, "Dockerfile"))
    )
    return folder.write("build/Dockerfile", dockerfile)
