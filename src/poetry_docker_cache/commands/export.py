"""`poetry docker export`: write the Dockerfile and its ignore file into the project."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from cleo.formatters.formatter import Formatter
from cleo.helpers import option
from cleo.io.outputs.output import Type, Verbosity

from poetry_docker_cache.commands.base import DockerCommand, Prepared
from poetry_docker_cache.credentials import collect
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.render import render_dockerfile, render_ignore_file
from poetry_docker_cache.vendor import difference, with_banner, writing
from poetry_docker_cache.workspace import inside, write_private

if TYPE_CHECKING:
    from collections.abc import Collection

    from cleo.io.inputs.option import Option


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """The command line, read."""

    output: str | None
    """None is the file at the project's root, wherever the command was called."""
    check: bool
    force: bool
    ignore_file: bool
    auth_file: str | None

    @property
    def to_stdout(self) -> bool:
        """Whether `-o -` was given."""
        return self.output == "-"


class ExportCommand(DockerCommand):
    """Writes the files; asks no network and no container engine."""

    name = "docker export"
    description = "Writes a Dockerfile, and its ignore file, for the project."
    options: ClassVar[list[Option]] = [
        option(
            "output",
            "o",
            "The Dockerfile to write, instead of the one at the project's root; `-` prints it.",
            flag=False,
        ),
        option("check", None, "Write nothing; exit 1, with a diff, if the files are out of date."),
        option("force", None, "Replace files that were written or edited by hand."),
        option("no-dockerignore", None, "Write no ignore file."),
        option("auth-file", None, "Also write the auth secret, to this path.", flag=False),
        *DockerCommand.options,
    ]
    help = """\
Writes <info>Dockerfile</> and <info>Dockerfile.dockerignore</>, made from pyproject.toml and
poetry.lock, at the project's root. Build with the vendored file by <info>docker build .</>

Private sources: <info>poetry docker export --auth-file ~/auth.toml</> writes the secret that
<info>docker build --secret id=auth,src=$HOME/auth.toml .</> takes.
"""

    def work(self) -> int:
        """Write, print or check the files."""
        options = self._options()
        prepared = self.prepare()
        if options.auth_file:
            _refuse_inside(Path(options.auth_file), prepared.folder)
        if not options.ignore_file:
            self._need_no_ignore_file(prepared)
        # Asked before anything is written: a missing password leaves nothing half-done.
        secret = collect(prepared.poetry, prepared.sources) if options.auth_file else None
        if options.check:
            return self._check(_files(prepared, options))
        files = {} if options.to_stdout else _files(prepared, options)
        with writing(files, force=options.force):
            if options.auth_file and secret:
                _write_secret(Path(options.auth_file), secret.text, files)
        if options.to_stdout:
            self._print(_dockerfile(prepared))
        else:
            self.line(Formatter.escape(f"Wrote {' and '.join(map(str, files))}."))
        return 0

    def _options(self) -> ExportOptions:
        if self.after_dashes:
            raise DockerCacheError(
                "`poetry docker export` takes no arguments after `--`.",
                fix="`poetry docker build` passes them on to `docker buildx build`.",
            )
        if self.option("auth-file") == "":
            raise DockerCacheError(
                "--auth-file is empty: the auth secret has nowhere to go.",
                fix="Give it a path, or leave it out. A variable in a script may be unset.",
            )
        options = ExportOptions(
            output=self.option("output"),
            check=self.option("check"),
            force=self.option("force"),
            ignore_file=not (self.option("no-dockerignore") or self.option("output") == "-"),
            auth_file=self.option("auth-file"),
        )
        if options.check and (options.to_stdout or options.auth_file):
            other = "-o -" if options.to_stdout else "--auth-file"
            raise DockerCacheError(
                f"--check writes nothing, so it cannot be combined with {other}.",
                fix="Leave one of them out.",
            )
        return options

    def _need_no_ignore_file(self, prepared: Prepared) -> None:
        """Refuse to copy a whole tree that nothing filters; else say that nothing filters."""
        if prepared.plan.files and not prepared.plan.files.paths:
            raise DockerCacheError(
                "The image takes everything that the ignore file lets through, and here there is"
                " no ignore file: `.git`, `.env` and the like would be copied.",
                fix='Name what the image needs: `files = ["…"]` in [tool.poetry-docker-cache].',
            )
        self.note(
            "Docker reads no Dockerfile.dockerignore here, only the .dockerignore of the context:"
            " what that lets through is sent to the builder."
        )

    def _print(self, text: str) -> None:
        """The text, byte for byte, at any verbosity."""
        binary = getattr(getattr(self.io.output, "stream", None), "buffer", None)
        if binary is None:
            self.io.output.write(text, verbosity=Verbosity.QUIET, type=Type.RAW)
        else:
            binary.write(text.encode())
            binary.flush()

    def _check(self, files: dict[Path, str]) -> int:
        found = difference(files)
        if not found:
            self.line("Up to date.")
            return 0
        self.io.output.write(found, type=Type.RAW)
        raise DockerCacheError(
            "The files on disk are not what `poetry docker export` would write.",
            fix="Run `poetry docker export`.",
        )


def _dockerfile(prepared: Prepared) -> str:
    return with_banner(render_dockerfile(prepared.plan), syntax=prepared.plan.syntax)


def _files(prepared: Prepared, options: ExportOptions) -> dict[Path, str]:
    """The files by path, relative to where the command was called if they lie below."""
    given = options.output
    if given is not None and (given.endswith(("/", os.sep)) or os.path.isdir(given or ".")):  # noqa: PTH112  # is_dir() raises for some paths
        raise DockerCacheError(
            f"{given} is a folder." if given else "`-o` is empty.",
            fix="Give `-o` the path of a file, or leave it out.",
        )
    path = _short(prepared.folder / "Dockerfile" if given is None else Path(given))
    files = {path: _dockerfile(prepared)}
    if options.ignore_file:
        ignore = path.with_name(f"{path.name}.dockerignore")
        files[ignore] = with_banner(
            render_ignore_file(prepared.plan, _below(path, prepared.folder))
        )
    return files


def _short(path: Path) -> Path:
    path = path.absolute()
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _below(path: Path, folder: Path) -> str:
    """The path as the ignore file names it; that of any Dockerfile, if it is not in the context."""
    resolved = _real(path)
    inside = resolved.is_relative_to(folder)
    return resolved.relative_to(folder).as_posix() if inside else "Dockerfile"


def _real(path: Path | str) -> Path:
    """The path without symlinks; `resolve()` raises where they make a loop (Python < 3.13)."""
    return Path(os.path.realpath(path))


def _refuse_inside(path: Path, folder: Path) -> None:
    """Raise DockerCacheError for a secret's path in the build context."""
    try:
        refused = inside(path, folder)
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of symlinks
        raise DockerCacheError(
            f"{path} cannot be written: {error}.", fix="Name a file that you may write."
        ) from error
    if refused:
        raise DockerCacheError(
            f"{path} lies inside the build context {folder}: the secret could be copied into an"
            " image. Nothing was written.",
            fix="Give --auth-file a path outside of the project.",
        )


def _write_secret(path: Path, text: str, files: Collection[Path]) -> None:
    if _real(path) in set(map(_real, files)):
        raise DockerCacheError(
            f"{path} would be the Dockerfile and the auth secret in one.",
            fix="Give --auth-file another path than `-o`.",
        )
    write_private(path, text)
