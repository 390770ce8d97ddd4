"""What a build takes over from earlier ones: wheels of this machine, packages of an image.

Each comes into the builder, and the wheels out of it again, by a small build of its own, so that
no layer's key depends on them. None of these can fail the image: a failure becomes a note.
"""

from __future__ import annotations

import itertools
import os.path
import posixpath
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from poetry_docker_cache.buildx.command_line import context_options, tells_only
from poetry_docker_cache.buildx.hidden_folders import hidden_paths
from poetry_docker_cache.buildx.kept_wheels import PARTS, keep
from poetry_docker_cache.buildx.steps import Step
from poetry_docker_cache.docker import go_csv
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.inside.install.earlier_image import NO_TABLE
from poetry_docker_cache.settings.install_values import within
from poetry_docker_cache.system.private_files import inside

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from poetry_docker_cache.buildx.command_line import BuildRequest
    from poetry_docker_cache.buildx.steps import Places
    from poetry_docker_cache.plan.image_plan import Dependencies
    from poetry_docker_cache.settings.table import Settings

# Of the user's own arguments, those that decide where a stage runs and what its key is.
_SHARED = (
    *("--add-host", "--allow", "--build-arg", "--build-context"),
    *("--builder", "--network", "--platform"),
)


@dataclass(frozen=True, kw_only=True)
class Reuse:
    """What one image's build takes over; nothing if no setting asks for it."""

    project: str
    """The name of the project in the folder, which others may share."""
    folder: Path | None
    """Where this machine keeps wheels."""
    has_wheels: bool
    """Whether there are any."""
    image: str | None
    """The earlier image."""
    hidden: tuple[str, ...]
    """The folder, if it lies in the context; also if this build does not use it."""

    @classmethod
    def of(
        cls,
        settings: Settings,
        dependencies: Dependencies,
        request: BuildRequest,
        *,
        project: str | None,
    ) -> Reuse:
        """Read the settings. Raises DockerCacheError for a path that cannot be the folder."""
        builds = not tells_only(request.options)
        place = Path(request.context, request.place)
        written = settings.download_cache or ""
        keeps = settings.download_cache is not None and dependencies.keeps_wheels and builds
        folder = _folder(place, written) if keeps else None
        return cls(
            project=project or place.name,
            folder=folder,
            has_wheels=folder is not None and any(folder.glob("*.whl")),
            image=settings.reuse_image if dependencies.reuses_image and builds else None,
            hidden=_hidden(folder, written, request),
        )


def _hidden(folder: Path | None, written: str, request: BuildRequest) -> tuple[str, ...]:
    """List the names of the folder in the context: the real one, and that of the setting."""
    found = hidden_paths([folder] if folder else [], Path(request.context).resolve())
    path = within(written) if written else None
    named = [posixpath.normpath(posixpath.join(request.place, path))] if path else []
    return tuple(sorted({*found, *named}))


def import_steps(
    reuse: Reuse, request: BuildRequest, places: Places, *, dockerfile: str
) -> list[Step]:
    """Give the steps that bring into the builder what there is."""
    steps = []
    if reuse.has_wheels:
        output = places.output(f"import-wheels-{request.image}")
        steps.append(
            Step(
                argv=_command(
                    request,
                    places,
                    dockerfile=dockerfile,
                    target="import-wheels",
                    context=f"download-cache={reuse.folder}",
                    output=output,
                ),
                leaves=Output(path=output),
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
    """Give the step that gets the wheels out of the builder."""
    if reuse.folder is None:
        return []
    # On the same file system as the folder: each wheel is put in place by one rename.
    part = reuse.folder / f"{PARTS}{places.token('name')}"
    output = places.output("") if places.shown else part
    argv = _command(
        request,
        places,
        dockerfile=dockerfile,
        target="export-wheels",
        context=f"download-cache={reuse.folder}",
        output=output,
    )
    wheels = ArrivedWheels(path=output, folder=reuse.folder, project=reuse.project)
    return [Step(argv=argv, leaves=wheels, failure=f"New wheels are not kept in {reuse.folder}")]


def _command(  # noqa: PLR0913  # what the three builds differ in
    request: BuildRequest,
    places: Places,
    *,
    dockerfile: str,
    target: str,
    context: str,
    output: Path,
    options: Sequence[str] = (),
) -> tuple[str, ...]:
    """Give a command whose stage always runs: its cache mount may have been emptied meanwhile.

    `--no-cache-filter` would have it run, too, and empty the mount itself.
    """
    builder = ["--builder", request.builder] if request.builder else []
    builder += ["--pull"] * request.pull  # or these stages stand on an older base
    return (
        *("docker", "buildx", "build", "--file", dockerfile, *builder, *options),
        *("--target", target, "--build-arg", f"ANEW={places.token('random')}"),
        *("--build-context", context, *context_options(request)),
        *("--output", go_csv.record("type=local", f"dest={output}"), "--progress", "plain"),
        *(*_shared(request.options), request.context),
    )


@dataclass(frozen=True, kw_only=True)
class Output:
    """The folder that BuildKit writes a stage to; there is nothing in it to use."""

    path: Path

    def prepare(self) -> None:
        """Create the folder. Raises OSError."""
        self.path.mkdir(mode=0o700, parents=True)

    def explain(self, error: str) -> str:
        """Shorten BuildKit's error, and say what to do if that is known."""
        why = error.removeprefix("ERROR: ").removeprefix("failed to build: ")
        why = why.removeprefix("failed to solve: ")
        if why.startswith("target stage"):
            return "the Dockerfile was written without this setting (`poetry docker export`)"
        return why

    def take(self) -> str:
        """Use nothing."""
        return ""

    def discard(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.path, ignore_errors=True)


@dataclass(frozen=True, kw_only=True)
class EarlierImage(Output):
    """What the import of an image says about it."""

    image: str

    def explain(self, error: str) -> str:
        """Say also that the image does not exist."""
        why = super().explain(error)
        return f"it is not there ({why})" if why.endswith(f"{self.image}: not found") else why

    def take(self) -> str:
        """Say if the image has no table of its packages."""
        if any(self.path.rglob(NO_TABLE)):
            return "it was built without this setting; the next one will do"
        return ""


@dataclass(frozen=True, kw_only=True)
class ArrivedWheels(Output):
    """The wheels of a build, in a folder inside the one that keeps them."""

    folder: Path
    project: str

    def take(self) -> str:
        """Keep them. Raises OSError."""
        keep(self.path, self.folder, self.project)
        return ""


def _folder(project: Path, path: str) -> Path:
    """The folder of wheels, which need not exist yet."""
    folder = Path(project, os.path.expanduser(path))  # noqa: PTH111  # an unknown user stays
    try:
        is_other = folder.exists() and not folder.is_dir()
    except OSError as error:
        raise _no_folder(path, f"which is not a folder: {error}") from error
    if is_other:
        raise _no_folder(path, "which is not a folder: it is a file")
    if inside(project, folder):
        raise _no_folder(path, "which holds the project: all of it would be sent to the builder")
    return folder


def _no_folder(path: str, why: str) -> DockerCacheError:
    return DockerCacheError(
        f"`download-cache` in [tool.poetry-docker-cache] names {path}, {why}.",
        fix="Name a folder of its own, such as ~/.cache/wheels; it need not exist yet.",
    )


def _shared(arguments: Sequence[str]) -> Iterator[str]:
    for option, value in itertools.pairwise([*arguments, ""]):
        name, has_value, _ = option.partition("=")
        if name in _SHARED:
            yield option
            if not has_value:
                yield value
