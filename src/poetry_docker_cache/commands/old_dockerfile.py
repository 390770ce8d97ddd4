"""Reads the project's own Dockerfile and what belongs to it, for `poetry docker init`."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from poetry_docker_cache.docker.final_stage import Stage, expand, final_stage
from poetry_docker_cache.migrate.companions import (
    Companions,
    companion_outcomes,
    read_companions,
)
from poetry_docker_cache.migrate.image_reader import Reading, health_command, read_image
from poetry_docker_cache.migrate.stages import (
    Dockerfile,
    context_prefix,
    read_dockerfile,
    text_up_to,
)
from poetry_docker_cache.migrate.starts import StatedStarts, read_starts
from poetry_docker_cache.migrate.surroundings import Surroundings
from poetry_docker_cache.project.project_tree import (
    compose_files,
    project_files,
    settings_of_django,
    workflow_files,
)
from poetry_docker_cache.project.reader import project_folder, read_project
from poetry_docker_cache.project.root.declared import scripts
from poetry_docker_cache.project.stated_starts import dockerfile_start, idle_entrypoint

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from poetry.poetry import Poetry

    from poetry_docker_cache.migrate.outcomes import Outcome
    from poetry_docker_cache.project.model import Project


@dataclass(frozen=True, kw_only=True)
class OldDockerfile:
    """A Dockerfile that the settings are to replace."""

    name: str
    dockerfile: Dockerfile
    stage: Stage
    """Its production stage as a whole."""
    reading: Reading
    around: Surroundings
    companions: Companions
    others: tuple[Outcome, ...]
    """What Compose files and workflows add."""


def surroundings(poetry: Poetry, without: tuple[str, ...]) -> Surroundings:
    """Read the project as it is without these Dockerfiles."""
    folder = project_folder(poetry)
    project = read_project(poetry, without, may_be_stale=True)
    files = project_files(folder)
    return Surroundings(
        project=project,
        files=files,
        texts=settings_of_django(folder, files),
        installed=frozenset(str(package["name"]) for package in project.lock.packages),
    )


def read_old_dockerfile(poetry: Poetry, name: str, text: str, target: str = "") -> OldDockerfile:
    """Read a Dockerfile, whose name is relative to the project."""
    around = surroundings(poetry, (name,))
    dockerfile = read_dockerfile(text, target)
    prefix = context_prefix(dockerfile, around.project.place, around.files)
    companions = _companions(project_folder(poetry), prefix, name)
    if companions.target and not target:
        dockerfile = read_dockerfile(text, companions.target)
    stage = final_stage(text_up_to(text, dockerfile)) or Stage(base="")
    stage = _within(stage, prefix)
    if companions.command and not stage.command and not stage.entrypoint:
        stage = replace(stage, command=companions.command)
    health = _health(dockerfile, stage.variables)
    starts = read_starts(
        _stated(poetry, around.project, name, stage, health),
        around.project,
        around.installed,
        [int(port) if port.isdecimal() else port for port in stage.exposed],
    )
    starts = replace(starts, idle=idle_entrypoint(project_folder(poetry), stage))
    reading = read_image(dockerfile, stage, starts, around, prefix)
    return OldDockerfile(
        name=name,
        dockerfile=dockerfile,
        stage=stage,
        reading=reading,
        around=around,
        companions=companions,
        others=(
            *companion_outcomes(companions, stage, reading.home, checks=bool(health)),
            *([replace(starts.command, text="command")] if companions.command else []),
        ),
    )


def _companions(folder: Path, prefix: str, name: str) -> Companions:
    """Read the Compose files and workflows of the build context's folder."""
    top = folder
    for _ in prefix.split("/") if prefix else ():
        top = top.parent
    return read_companions(compose_files(top), workflow_files(top), posixpath.join(prefix, name))


def _within(stage: Stage, prefix: str) -> Stage:
    """Return the stage with paths relative to the project instead of the build context."""
    if not prefix:
        return stage
    copied = [
        (re.sub(rf"^{re.escape(prefix)}(?:/|$)", "", path) or ".", target)
        for path, target in stage.copied
    ]
    return replace(stage, copied=tuple(copied))


def _health(dockerfile: Dockerfile, values: Mapping[str, str]) -> tuple[str, ...]:
    """Return the command of the last HEALTHCHECK of the production stage."""
    lineage = dockerfile.lineage(dockerfile.target) if dockerfile.stages else []
    found = [
        each.arguments
        for stage in lineage
        for each in stage.instructions
        if each.keyword == "HEALTHCHECK"
    ]
    text = re.sub(r"^(?:--\S+\s+)*(?:CMD\s)?", "", found[-1]) if found else ""
    text = expand(text, values)
    return tuple(health_command(text.strip()) or ()) if text else ()


def _stated(
    poetry: Poetry, project: Project, name: str, stage: Stage, health: tuple[str, ...]
) -> StatedStarts:
    folder: Path = project_folder(poetry)
    both, first, rest, check = (
        dockerfile_start(folder, project.root, scripts(poetry), name, each)
        for each in (
            stage,
            replace(stage, command=()),
            replace(stage, entrypoint=()),
            replace(stage, entrypoint=(), command=health, exposed=()),
        )
    )
    # Without the entrypoint it would be the command alone.
    if both and any(change.startswith("its ENTRYPOINT") for change in both.changes):
        both = replace(both, problem=first.problem if first and first.problem else "is not clear")
    return StatedStarts(
        entrypoint=stage.entrypoint,
        command=stage.command,
        both=both,
        first=first,
        rest=rest,
        health=check,
    )
