"""Implements `poetry docker export --ci`."""

from __future__ import annotations

import os
import shlex
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from poetry_docker_cache.commands.image_choice import selection_words
from poetry_docker_cache.commands.output_files import check, output_path
from poetry_docker_cache.commands.planned_image import plan_images
from poetry_docker_cache.docker.dockerfile_syntax import EXPORT
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.plan.poetry_version import choose_poetry
from poetry_docker_cache.plan.python_version import Python
from poetry_docker_cache.project.git import repository_of
from poetry_docker_cache.project.reader import settings_table
from poetry_docker_cache.render.ci_files import (
    CI_PATHS,
    CI_PYTHON,
    NO_ENGINE,
    SHEBANG,
    CiImage,
    CiPlan,
    render_ci,
    yaml_string,
)
from poetry_docker_cache.render.exported_files import with_banner, writing
from poetry_docker_cache.settings.table import Settings
from poetry_docker_cache.system.compat import real_path
from poetry_docker_cache.system.outward_links import refuse_outward_links

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from poetry.poetry import Poetry

    from poetry_docker_cache.commands.console import Console
    from poetry_docker_cache.commands.options import ExportOptions
    from poetry_docker_cache.commands.planned_image import PlannedImage
    from poetry_docker_cache.render.ci_files import CiKind

_SCRIPT_MODE = 0o755
_GITHUB = Path(".github", "workflows")
_HOSTS = {"github": "GitHub", "gitlab": "GitLab"}


def export_ci(options: ExportOptions, kind: CiKind, poetry: Poetry, console: Console) -> int:
    """Write, print or check the pipeline; return the exit status. Raises DockerCacheError."""
    images = plan_images(poetry, (), options.selection)
    folder = images[0].folder
    usual = folder / CI_PATHS[kind]
    path = usual if options.to_stdout else output_path(options.output, usual)
    plan = _plan(options, images, kind, path)
    typed = f" --ci {kind}{f' {NO_ENGINE}' * options.no_engine}{' --sign' * options.sign}"
    again = f"{EXPORT}{typed}"
    shebang = SHEBANG if kind == "shell" else ""
    text = with_banner(render_ci(plan), shebang=shebang, options=typed)
    if options.to_stdout:
        console.raw(text)
        return 0
    refuse_outward_links([path], folder, path.absolute().parent)
    if options.check:
        return check(console, {path: text}, again=again)
    if path.parts[-3:-1] == _GITHUB.parts:
        _make_folder(path.parent)
    mode = _SCRIPT_MODE if kind == "shell" else None
    with writing({path: text}, force=options.force, mode=mode):
        pass
    console.line(f"Wrote {path}.")
    if options.output is None and (place := _required_path(kind, real_path(folder))):
        console.note(
            f"{_HOSTS[kind]} reads the pipeline only from the root of the repository, but the"
            f" project is below it. Run `{again} -o {shlex.quote(os.path.relpath(place))}`, and"
            f" remove {path}."
        )
    if plan.logins or plan.secrets_to_add:
        sources = " Those of package sources are for sources with a login." * bool(plan.logins)
        console.note(f"Set the secrets that its first lines list.{sources}")
    return 0


def _plan(
    options: ExportOptions, images: Sequence[PlannedImage], kind: CiKind, path: Path
) -> CiPlan:
    first = images[0]
    common = Settings.parse(settings_table(first.poetry))
    sources = [source for image in images for source in image.sources]
    platforms = [platform for image in images for platform in image.settings.platforms]
    no_engine = options.no_engine or any(not image.settings.engine for image in images)
    # Only the same Python can compile for the image.
    compiling = (image.plan for image in images if no_engine and image.plan.dependencies.compile)
    python = next((plan.runtime.python for plan in compiling), CI_PYTHON)
    several = [
        CiImage(name=image.image, image=image.settings.image, project=image.name)
        for image in images
    ]
    return CiPlan(
        kind=kind,
        name=first.name and first.name.removesuffix(f"-{first.image}" if first.image else ""),
        image=common.image,
        sources=tuple(dict.fromkeys(sources)),
        poetry=choose_poetry(
            first.lock.generator,
            setting=None,
            python=Python(tag=python, reason=""),
        ),
        plugin=version("poetry-docker-cache"),
        folder=_project_from(kind, real_path(path).parent, real_path(first.folder)),
        selection=selection_words(options.selection),
        platforms=tuple(dict.fromkeys(platforms)),
        no_engine=no_engine,
        sign=options.sign,
        python=python,
        version_variables=tuple(
            sorted({name for image in images for name in image.plan.version_variables})
        ),
        images=tuple(image for image in several if image.name),
        secrets={name: what for image in images for name, what in _secrets(image)},
    )


def _secrets(image: PlannedImage) -> Iterator[tuple[str, str]]:
    """Yield the variables that the build of an image takes as secrets, and what needs each."""
    for stage in image.plan.assets:
        for name in stage.variables:
            yield name, f"packages of the front end in {yaml_string(stage.folder)}"
    for name in image.plan.secrets:
        yield name, "build steps (`run`)"


def _required_path(kind: CiKind, project: Path) -> Path | None:
    """Return where the CI reads the pipeline, if the project is not at the repository's root."""
    repository = repository_of(project) or project
    return repository / CI_PATHS[kind] if kind in _HOSTS and repository != project else None


def _project_from(kind: CiKind, file: Path, project: Path) -> str:
    """Return the project's path relative to the folder that the pipeline starts in.

    A script starts in its own folder. A CI starts in the checkout, where its file is, too, unless
    another file includes it.
    """
    start = file
    if kind == "github":
        start = file.parents[1] if file.parts[-2:] == _GITHUB.parts else project
    if kind != "shell" and not project.is_relative_to(start):
        return "."
    return Path(os.path.relpath(project, start)).as_posix()


def _make_folder(folder: Path) -> None:
    """Create `.github/workflows`, which a project may not have yet."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DockerCacheError(
            f"The folder {folder} cannot be created: {error.strerror}.",
            fix="Create it, or give `-o` another path.",
        ) from error
