"""`poetry docker build`: run BuildKit on the project, with its credentials as a secret."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from cleo.helpers import argument, option

from poetry_docker_cache.buildkit import (
    BuildRequest,
    build_command,
    default_tag,
    result_note,
    shell_quoted,
)
from poetry_docker_cache.commands.base import DockerCommand, Prepared
from poetry_docker_cache.credentials import collect
from poetry_docker_cache.engine import probe, run
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.render import render_dockerfile, render_ignore_file
from poetry_docker_cache.vendor import with_banner
from poetry_docker_cache.workspace import Workspace, workspace

if TYPE_CHECKING:
    from pathlib import Path

    from cleo.io.inputs.argument import Argument
    from cleo.io.inputs.option import Option

    from poetry_docker_cache.engine import EngineInfo

# What `--dry-run` shows in place of the temporary files.
_DOCKERFILE, _AUTH = "<dockerfile>", "<auth>"


def _repeatable(name: str, shortcut: str | None, description: str) -> Option:
    return option(name, shortcut, description, flag=False, multiple=True)


class BuildCommand(DockerCommand):
    """Builds the image; the exit status is BuildKit's."""

    name = "docker build"
    description = "Builds a Docker image of the project."
    arguments: ClassVar[list[Argument]] = [
        argument("images", "Reserved for the names of images.", optional=True, multiple=True)
    ]
    options: ClassVar[list[Option]] = [
        _repeatable("tag", "t", "Name of the image, instead of the project's own."),
        option("push", None, "Push the image to its registry."),
        option("load", None, "Load the image into the engine's store (the default)."),
        _repeatable("platform", None, "Platform of the image, such as linux/arm64."),
        option("target", None, "Build up to this stage.", flag=False),
        option("file", "f", "Build with this Dockerfile, as it is.", flag=False),
        option("cache", None, "Not in this release: use --cache-from and --cache-to.", flag=False),
        _repeatable("cache-from", None, "Where to import build cache from."),
        _repeatable("cache-to", None, "Where to export build cache to."),
        option("builder", None, "The buildx builder to use.", flag=False),
        option("pull", None, "Pull newer versions of the base images."),
        option("progress", None, "Form of BuildKit's output: auto, plain, tty, quiet.", flag=False),
        option("dry-run", None, "Print the command; build nothing."),
        *DockerCommand.options,
    ]
    help = """\
Builds the image that <info>poetry docker export</> describes, with the credentials that Poetry
has for the package sources. What stands behind <info>--</> goes to docker buildx build as it is:

    <info>poetry docker build -t shop:dev -- --network=host</>
"""

    def work(self) -> int:
        """Probe the engine, write the temporary files, run BuildKit."""
        self._refuse_what_comes_later()
        vendored = self._vendored()
        prepared = self.prepare(notes=not vendored)
        request = self._request(prepared)
        engine = probe(request.builder)
        if note := result_note(request, engine):
            self.note(note)
        if self.option("dry-run"):
            command = build_command(
                request,
                dockerfile=vendored or _DOCKERFILE,
                secret=_AUTH,
                engine=engine,
            )
            self.raw_line(shell_quoted(command))
            return 0
        secret = collect(prepared.poetry, prepared.sources)
        with workspace(context=prepared.folder, docker=engine.docker) as folder:
            dockerfile = vendored or _write_files(folder, prepared, engine)
            auth = folder.write("secret/auth.toml", secret.text)
            command = build_command(
                request, dockerfile=str(dockerfile), secret=str(auth), engine=engine
            )
            status = run(command)
        if status == 1 and secret.without:
            self.note(
                f"No credentials were found for {', '.join(secret.without)}. If the source asks for"
                f" some: poetry config http-basic.{secret.without[0]} USERNAME"
            )
        return status

    def _vendored(self) -> str | None:
        """What `--file` names: told here if it is not there, rather than by BuildKit."""
        path: str | None = self.option("file")
        if path is not None and not os.path.exists(path):  # noqa: PTH110  # Path's raises for some
            raise DockerCacheError(
                f"--file names no Dockerfile: {path} does not exist."
                if path
                else "--file is empty.",
                fix="`poetry docker export` writes one; without --file none is needed.",
            )
        return path

    def _refuse_what_comes_later(self) -> None:
        if words := self.argument("images"):
            raise DockerCacheError(
                f"{' '.join(words)!r}: images cannot be named in this release.",
                fix="Arguments for `docker buildx build` go behind `--`.",
            )
        if self.option("cache") is not None:
            raise DockerCacheError(
                "--cache is not in this release.",
                fix=(
                    "Name the cache to BuildKit: `--cache-from type=registry,ref=REF"
                    " --cache-to type=registry,ref=REF,mode=max`."
                ),
            )

    def _request(self, prepared: Prepared) -> BuildRequest:
        image = prepared.settings.image
        return BuildRequest(
            tags=self._many("tag") or [default_tag(prepared.name, prepared.version, image=image)],
            push=self.option("push"),
            load=self.option("load"),
            platforms=self._many("platform"),
            target=self.option("target"),
            cache_from=self._many("cache-from"),
            cache_to=self._many("cache-to"),
            builder=self.option("builder"),
            no_cache=bool(self.option("no-cache")),
            pull=self.option("pull"),
            progress=self._progress(),
            arguments=self.after_dashes,
            context=str(prepared.folder),
        )

    def _many(self, name: str) -> list[str]:
        value: Any = self.option(name)
        return list(value or [])

    def _progress(self) -> str | None:
        """BuildKit's form of progress; Poetry's own options choose one unless it is given."""
        given: str | None = self.option("progress")
        if given is None and self.io.output.is_quiet():
            return "quiet"
        if given is None and self.option("no-ansi"):
            return "plain"
        return given


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
