"""The build steps of `run`: commands that need the installed application. Pure."""

from __future__ import annotations

import json
import posixpath
from typing import TYPE_CHECKING

from poetry_docker_cache.docker.ignore_patterns import is_inside, may_be_folder
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.inside.manifest.families import layer_name
from poetry_docker_cache.plan.build_context import checked_paths
from poetry_docker_cache.plan.image_plan import RunStep
from poetry_docker_cache.plan.system_packages import refuse_rpm

if TYPE_CHECKING:
    from collections.abc import Iterable

    from poetry_docker_cache.plan.bases import Bases
    from poetry_docker_cache.plan.image_plan import Notes
    from poetry_docker_cache.project.model import Project
    from poetry_docker_cache.settings.table import Settings


def plan_steps(
    project: Project, settings: Settings, bases: Bases
) -> tuple[tuple[RunStep, ...], Notes]:
    """Plan the stages. Raises DockerCacheError for one that cannot run on the base image."""
    steps = tuple(
        RunStep(
            name=layer_name(f"run-{number}", setting.family),
            command=setting.command,
            output=_outermost(posixpath.join(settings.workdir, path) for path in setting.output),
            environment=dict(setting.env),
            packages=setting.packages,
            network=setting.network,
            secrets=setting.secrets,
            paths=None if setting.dependencies is None else checked_paths(setting.dependencies),
        )
        for number, setting in enumerate(settings.run, start=1)
    )
    for step in steps:
        if step.packages and not bases.has_shell:
            raise DockerCacheError(
                f"`base-image` {bases.final} has no shell, so the `packages` of {step.title}"
                " cannot be installed on it.",
                fix="Remove them, or use a `base-image` with a shell.",
            )
        refuse_rpm(f"The `packages` of {step.title}", step.packages, bases.final)
    return steps, _static_notes(project, settings)


def _outermost(outputs: Iterable[str]) -> tuple[str, ...]:
    """The paths without those inside another one; those of folders end with `/`."""
    folders = {path.rstrip("/"): path.endswith("/") or may_be_folder(path) for path in outputs}
    paths = {path: f"{path}/" if is_folder else path for path, is_folder in folders.items()}
    return tuple(
        path
        for plain, path in paths.items()
        if not is_inside(posixpath.dirname(plain), [other for other in paths if other != plain])
    )


def _static_notes(project: Project, settings: Settings) -> Notes:
    """Show the step that a Django project needs for its static files."""
    static = project.static_files
    if static is None or any(
        "collectstatic" in word for step in settings.run for word in step.command
    ):
        return ()
    command = json.dumps(["python", static.manage, "collectstatic", "--no-input"])
    output = json.dumps([static.folder or "FOLDER"])
    env = f'env = {{ {static.secret_key} = "build" }}, ' if static.secret_key else ""
    unknown = "" if static.folder else ", with the folder of `STATIC_ROOT` instead of FOLDER"
    note = (
        "Django's static files are not collected in the image. To collect them, add to"
        f" [tool.poetry-docker-cache]{unknown}:"
        f" run = [{{ command = {command}, {env}output = {output} }}]"
    )
    return (note,)
