"""Reuse from earlier builds: wheels on this machine, and the packages of an earlier image.

Separate small builds import them into the builder, and export the wheels afterwards, so that no
layer's cache key depends on them. If one fails, the image is still built, with a note.
"""

from __future__ import annotations

import itertools
import os
import posixpath
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from poetry_docker_cache.buildx.command_line import context_options, only_prints
from poetry_docker_cache.buildx.hidden_folders import hidden_paths
from poetry_docker_cache.buildx.kept_wheels import (
    PARTS,
    keep,
    link_wheels,
    refuse_foreign,
    wheels_in,
)
from poetry_docker_cache.buildx.steps import Step
from poetry_docker_cache.docker import go_csv
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.inside.install.earlier_image import NO_TABLE
from poetry_docker_cache.settings.install_values import within
from poetry_docker_cache.system.compat import real_path
from poetry_docker_cache.system.private_files import inside

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from poetry_docker_cache.buildx.command_line import BuildRequest
    from poetry_docker_cache.buildx.steps import Places
    from poetry_docker_cache.plan.image_plan import Dependencies
    from poetry_docker_cache.settings.table import Settings

# The options that decide where a stage runs and what its cache key is.
_SHARED = (
    *("--add-host", "--allow", "--build-arg", "--build-context"),
    *("--builder", "--network", "--platform"),
)


@dataclass(frozen=True, kw_only=True)
class Reuse:
    """What the build of one image reuses, according to the settings."""

    project: str
    """The name of the project, since several may share the folder."""
    folder: Path | None
    """The folder of `download-cache`, without links."""
    has_wheels: bool
    """Whether it has any wheels."""
    image: str | None
    """The image of `reuse-image`."""
    hidden: tuple[str, ...]
    """The folder, if it is in the context, even if this build does not use it."""

    @classmethod
    def of(
        cls,
        settings: Settings,
        dependencies: Dependencies,
        request: BuildRequest,
        *,
        project: str | None,
    ) -> Reuse:
        """Read the settings. Raises DockerCacheError for an unusable folder."""
        builds = not only_prints(request.options)
        place = Path(request.context, request.place)
        written = settings.download_cache or ""
        keeps = settings.download_cache is not None and dependencies.keeps_wheels and builds
        folder = _folder(place, written) if keeps else None
        return cls(
            project=project or place.name,
            folder=folder,
            has_wheels=folder is not None and folder.is_dir() and bool(wheels_in(folder)),
            image=settings.reuse_image if dependencies.reuses_image and builds else None,
            hidden=_hidden(folder, written, request),
        )


def _hidden(folder: Path | None, written: str, request: BuildRequest) -> tuple[str, ...]:
    """Return the paths of the folder in the context: resolved, and as in the setting."""
    found = hidden_paths([folder] if folder else [], Path(request.context).resolve())
    path = within(written) if written else None
    named = [posixpath.normpath(posixpath.join(request.place, path))] if path else []
    return tuple(sorted({*found, *named}))


def import_steps(
    reuse: Reuse, request: BuildRequest, places: Places, *, dockerfile: str
) -> list[Step]:
    """Return the steps that import wheels and packages into the builder."""
    steps = []
    if reuse.folder and reuse.has_wheels:
        output = places.output(f"import-wheels-{request.image}")
        sent = _sent(reuse.folder, places)
        steps.append(
            Step(
                argv=_command(
                    request,
                    places,
                    dockerfile=dockerfile,
                    target="import-wheels",
                    context=f"download-cache={sent}",
                    output=output,
                ),
                leaves=SentWheels(path=output, folder=reuse.folder, sent=sent),
                failure=f"The wheels in {reuse.folder} are not used",
            )
        )
    if reuse.image:
        output = places.output(f"import-image-{request.image}")
        steps.append(
            Step(
                argv=_command(
                    request,
                    places,
                    dockerfile=dockerfile,
                    target="import-image",
                    context=f"reuse-image=docker-image://{reuse.image}",
                    output=output,
                    options=[word for value in request.platforms for word in ("--platform", value)],
                ),
                announcement=f"Looking for unchanged packages in the image {reuse.image}.",
                leaves=EarlierImage(path=output, image=reuse.image),
                failure=f"No package is taken from the earlier image {reuse.image}",
            )
        )
    return steps


def export_steps(
    reuse: Reuse, request: BuildRequest, places: Places, *, dockerfile: str
) -> list[Step]:
    """Return the step that exports the wheels from the builder."""
    if reuse.folder is None:
        return []
    # On the same file system as the folder, so that a rename moves each wheel into place.
    part = reuse.folder / f"{PARTS}{places.token('name')}"
    output = places.output("") if places.shown else part
    sent = _sent(reuse.folder, places)
    argv = _command(
        request,
        places,
        dockerfile=dockerfile,
        target="export-wheels",
        context=f"download-cache={sent}",
        output=output,
    )
    wheels = ArrivedWheels(path=output, folder=reuse.folder, sent=sent, project=reuse.project)
    return [Step(argv=argv, leaves=wheels, failure=f"New wheels are not kept in {reuse.folder}")]


def _sent(folder: Path, places: Places) -> Path:
    """Return the private folder of wheels that BuildKit reads in place of the user's."""
    if places.shown:
        return Path("<wheels>")
    name = places.token("name")
    # Beside the wheels: links work only on the same file system.
    is_writable = os.access(folder, os.W_OK)
    return folder / f"{PARTS}{name}" if is_writable else places.output(f"wheels-{name}")


def _command(  # noqa: PLR0913  # the differences between the three builds
    request: BuildRequest,
    places: Places,
    *,
    dockerfile: str,
    target: str,
    context: str,
    output: Path,
    options: Sequence[str] = (),
) -> tuple[str, ...]:
    """Return a command whose stage always runs, since its cache mount may have been emptied.

    `--no-cache-filter` would run the stage, too, but also empty the mount.
    """
    builder = ["--builder", request.builder] if request.builder else []
    builder += ["--pull"] * request.pull  # or these stages would use an older base image
    return (
        *("docker", "buildx", "build", "--file", dockerfile, *builder, *options),
        *("--target", target, "--build-arg", f"ANEW={places.token('random')}"),
        *("--build-context", context, *context_options(request)),
        *("--output", go_csv.record("type=local", f"dest={output}"), "--progress", "plain"),
        *(*_shared(request.options), request.context),
    )


@dataclass(frozen=True, kw_only=True)
class Output:
    """The folder that BuildKit writes a stage to, without anything to use."""

    path: Path

    def prepare(self) -> None:
        """Create the folder. Raises OSError."""
        self.path.mkdir(mode=0o700, parents=True)

    def explain(self, error: str) -> str:
        """Shorten BuildKit's error, and add what to do if known."""
        why = error.removeprefix("ERROR: ").removeprefix("failed to build: ")
        why = why.removeprefix("failed to solve: ")
        if why.startswith("target stage"):
            return "the Dockerfile was exported without this setting; run `poetry docker export`"
        return why

    def take(self) -> str:
        """Use nothing."""
        return ""

    def discard(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.path, ignore_errors=True)


@dataclass(frozen=True, kw_only=True)
class EarlierImage(Output):
    """The result of importing an image."""

    image: str

    def explain(self, error: str) -> str:
        """Return why the image is not imported, such as because it does not exist."""
        why = super().explain(error)
        return f"it does not exist ({why})" if why.endswith(f"{self.image}: not found") else why

    def take(self) -> str:
        """Return the reason if the image has no table of its packages."""
        if any(self.path.rglob(NO_TABLE)):
            return "it was built without this setting; the next build can reuse this one"
        return ""


@dataclass(frozen=True, kw_only=True)
class SentWheels(Output):
    """The result of a step that reads the folder of `download-cache`."""

    folder: Path
    sent: Path
    """The private folder with its wheels."""

    def prepare(self) -> None:
        """Create both folders. Raises OSError."""
        super().prepare()
        link_wheels(self.folder, self.sent)

    def discard(self) -> None:
        """Remove both folders."""
        super().discard()
        shutil.rmtree(self.sent, ignore_errors=True)


@dataclass(frozen=True, kw_only=True)
class ArrivedWheels(SentWheels):
    """The wheels of a build, in a temporary folder inside the one of `download-cache`."""

    project: str

    def take(self) -> str:
        """Move them into the folder. Raises OSError."""
        keep(self.path, self.folder, self.project)
        return ""


def _folder(project: Path, path: str) -> Path:
    """Return the folder of wheels, which need not exist yet."""
    folder = real_path(Path(project, os.path.expanduser(path)))  # noqa: PTH111  # an unknown user stays
    try:
        is_other = folder.exists() and not folder.is_dir()
    except OSError as error:
        raise _no_folder(path, f"which cannot be read: {error}") from error
    if is_other:
        raise _no_folder(path, "which is a file, not a folder")
    if inside(project, folder):
        raise _no_folder(path, "which contains the project: all of it would be sent to the builder")
    refuse_foreign(folder)
    return folder


def _no_folder(path: str, why: str) -> DockerCacheError:
    return DockerCacheError(
        f"`download-cache` in [tool.poetry-docker-cache] is {path}, {why}.",
        fix="Choose a separate folder, such as ~/.cache/wheels. It need not exist yet.",
    )


def _shared(arguments: Sequence[str]) -> Iterator[str]:
    for option, value in itertools.pairwise([*arguments, ""]):
        name, has_value, _ = option.partition("=")
        if name in _SHARED:
            yield option
            if not has_value:
                yield value
