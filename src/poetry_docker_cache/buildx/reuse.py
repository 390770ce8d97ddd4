"""What a build takes over from earlier ones: wheels of this machine, packages of an image.

Each comes into the builder, and the wheels out of it again, by a small build of its own, so that
no layer's key depends on them. None of these can fail the image: what they say becomes a note.
"""

from __future__ import annotations

import itertools
import os.path
import posixpath
import secrets
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from poetry_docker_cache.buildx.cache_steps import hidden_paths
from poetry_docker_cache.buildx.command_line import tells_only
from poetry_docker_cache.buildx.engine import ask
from poetry_docker_cache.buildx.kept_wheels import PARTS, keep
from poetry_docker_cache.docker import go_csv
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.inside.install.earlier_image import NO_TABLE
from poetry_docker_cache.settings.install_values import within
from poetry_docker_cache.system.private_files import inside

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from poetry_docker_cache.buildx.command_line import BuildRequest
    from poetry_docker_cache.plan.model import Dependencies
    from poetry_docker_cache.settings.table import Settings

_HOUR = 60 * 60.0
_OUTPUT, _ANEW = "<folder>", "<random>"
"""What `--dry-run` shows in place of what is made for one build."""

# Of the user's own arguments, those that decide where a stage runs and what its key is.
_SHARED = (
    *("--add-host", "--allow", "--build-arg", "--build-context"),
    *("--builder", "--network", "--platform"),
)


@dataclass(frozen=True, kw_only=True)
class Reusing:
    """The builds beside that of the image; none, where no setting asks for them."""

    request: BuildRequest
    project: str
    """What the folder knows the project by; another may keep wheels there, too."""
    folder: Path | None
    """Where this machine keeps wheels."""
    written: str
    """The same as the setting has it."""
    image: str | None
    """The earlier image."""
    note: Callable[[str], None]

    @classmethod
    def of(
        cls,
        settings: Settings,
        dependencies: Dependencies,
        request: BuildRequest,
        note: Callable[[str], None],
        *,
        project: str | None,
    ) -> Reusing:
        """What the settings ask for. Raises DockerCacheError for a path that is no folder."""
        builds = not tells_only(request.options)
        keeps = settings.download_cache is not None and dependencies.keeps_wheels and builds
        place = Path(request.context, request.place)
        return cls(
            request=request,
            project=project or place.name,
            written=settings.download_cache or "",
            folder=_folder(place, settings.download_cache or "") if keeps else None,
            image=settings.reuse_image if dependencies.reuses_image and builds else None,
            note=note,
        )

    @property
    def hidden(self) -> tuple[str, ...]:
        """The folder, if it lies in the project; also where this build does not use it."""
        written = within(self.written) if self.written else None
        folders = [self.folder] if self.folder else []
        found = hidden_paths(folders, Path(self.request.context).resolve())
        named = [posixpath.join(self.request.place, written)] if written else []
        return tuple(sorted({*found, *map(posixpath.normpath, named)}))

    def before(self, dockerfile: str) -> None:
        """Bring into the builder what there is."""
        if self.folder and any(self.folder.glob("*.whl")):
            with tempfile.TemporaryDirectory() as output:
                if why := self._fails(self._import_wheels(dockerfile, output)):
                    self.note(f"The wheels in {self.folder} are not used: {why}")
        if self.image:
            self.note(f"Looking for unchanged packages in the image {self.image}.")
            with tempfile.TemporaryDirectory() as output:
                why = self._fails(self._import_image(dockerfile, output))
                if not why and any(Path(output).rglob(NO_TABLE)):
                    why = "it was built without this setting; the next one will do"
                if why:
                    self.note(f"No package is taken from the earlier image {self.image}: {why}")

    def after(self, dockerfile: str, status: int) -> None:
        """Keep the wheels of a build that succeeded."""
        if self.folder is None or status:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self.folder, prefix=PARTS) as output:
                why = self._fails(self._export_wheels(dockerfile, output))
                if not why:
                    keep(Path(output), self.folder, self.project)
        except OSError as error:
            why = str(error)
        if why:
            self.note(f"New wheels are not kept in {self.folder}: {why}")

    def around(self, dockerfile: str, build: Iterable[list[str]]) -> Iterator[list[str]]:
        """Give all that would be run, around the commands of the build itself."""
        if self.folder and any(self.folder.glob("*.whl")):
            yield self._import_wheels(dockerfile, _OUTPUT)
        if self.image:
            yield self._import_image(dockerfile, _OUTPUT)
        yield from build
        if self.folder:
            yield self._export_wheels(dockerfile, _OUTPUT)

    def _import_wheels(self, dockerfile: str, output: str) -> list[str]:
        wheels = f"download-cache={self.folder}"
        return self._command(dockerfile, output, "import-wheels", wheels)

    def _import_image(self, dockerfile: str, output: str) -> list[str]:
        image = f"reuse-image=docker-image://{self.image}"
        platforms = [word for it in self.request.platforms for word in ("--platform", it)]
        return self._command(dockerfile, output, "import-image", image, *platforms)

    def _export_wheels(self, dockerfile: str, output: str) -> list[str]:
        wheels = f"download-cache={self.folder}"
        return self._command(dockerfile, output, "export-wheels", wheels)

    def _command(
        self, dockerfile: str, output: str, target: str, context: str, *more: str
    ) -> list[str]:
        """The stage always runs: its cache mount may have been emptied since the last time.

        `--no-cache-filter` would have it run, too, and empty the mount itself.
        """
        anew = _ANEW if output == _OUTPUT else secrets.token_hex(8)
        builder = ["--builder", self.request.builder] if self.request.builder else []
        builder += ["--pull"] * self.request.pull  # or these stages stand on an older base
        return [
            *("docker", "buildx", "build", "--file", dockerfile, *builder, *more),
            *("--target", target, "--build-arg", f"ANEW={anew}"),
            *("--build-context", context),
            *("--output", go_csv.record("type=local", f"dest={output}"), "--progress", "plain"),
            *(*_shared(self.request.options), self.request.context),
        ]

    def _fails(self, command: Sequence[str]) -> str:
        """Run a command; give what it says of its failure, "" if there is none."""
        try:
            (answer,) = ask([command], seconds=_HOUR)
        except DockerCacheError as error:
            return error.problem
        if not answer.status:
            return ""
        lines = [line.strip() for line in answer.err.splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith("ERROR: ")] or lines[-1:]
        return _why(errors[-1], self.image) if errors else f"status {answer.status}"


def _why(error: str, image: str | None) -> str:
    """BuildKit's word for it, and what is to be done where that is known."""
    why = error.removeprefix("ERROR: ").removeprefix("failed to build: ")
    why = why.removeprefix("failed to solve: ")
    if why.startswith("target stage"):
        return "the Dockerfile was written without this setting (`poetry docker export`)"
    if image and why.endswith(f"{image}: not found"):
        return f"it is not there ({why})"
    return why


def _folder(project: Path, path: str) -> Path:
    """The folder of wheels, which need not exist yet."""
    folder = Path(project, os.path.expanduser(path))  # noqa: PTH111  # an unknown user stays
    try:
        is_other = folder.exists() and not folder.is_dir()
    except OSError as error:
        raise _no_folder(path, f"which is no folder: {error}") from error
    if is_other:
        raise _no_folder(path, "which is no folder: it is a file")
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
