"""What both commands begin with: reading the project, deciding on its image, saying why."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from cleo.io.io import IO

from poetry_docker_cache.caches.context import written_inside
from poetry_docker_cache.commands.unreadable import unreadable
from poetry_docker_cache.credentials import refuse_credentials_in_urls
from poetry_docker_cache.direct import direct_addresses
from poetry_docker_cache.ignore.git import let_through
from poetry_docker_cache.own_template import template_notes
from poetry_docker_cache.planner import make_plan
from poetry_docker_cache.project import (
    check_files,
    check_locked_files,
    project_folder,
    read_project,
    settings_table,
)
from poetry_docker_cache.python import listing, locked_packages
from poetry_docker_cache.render import render_ignore_file
from poetry_docker_cache.selection import SelectionOptions, select
from poetry_docker_cache.settings import Settings
from poetry_docker_cache.settings.reuse import within
from poetry_docker_cache.sources import read_sources, used_sources
from poetry_docker_cache.template_files import read_template

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from packaging.version import Version
    from poetry.poetry import Poetry

    from poetry_docker_cache.commands.base import DockerCommand
    from poetry_docker_cache.direct import Address
    from poetry_docker_cache.plan import ImagePlan


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A project that was read and planned."""

    poetry: Poetry
    folder: Path
    settings: Settings
    plan: ImagePlan
    name: str | None
    version: str | None
    packages: tuple[Mapping[str, Any], ...]
    """The `[[package]]` tables of what the image may hold."""
    sources: tuple[str, ...]
    """The names of the sources that a build contacts."""
    addresses: tuple[Address, ...]
    """Where else a build asks over http."""
    generator: Version | None
    """The Poetry that wrote the lock."""
    git_version: str | None
    """What a plugin of Poetry's, such as poetry-dynamic-versioning, has read from git."""


def prepare(command: DockerCommand, *, notes: bool = True) -> Prepared:
    """Read the project, decide on its image, and say on stderr what was decided and why."""
    poetry = _load(command)
    settings = Settings.parse(settings_table(poetry))
    # Before the lock is looked at: `poetry lock` would copy them into it.
    refuse_credentials_in_urls({source.name: source.url for source in read_sources(poetry)})
    folder = project_folder(poetry)
    template = read_template(folder, settings.template)
    project = read_project(poetry)
    check_files(folder, settings.files)
    selection = select(
        _selection_options(command),
        default_groups=settings.groups,
        default_extras=settings.extras,
        groups=project.groups,
        extras=project.extras,
        unread_groups=poetry.pyproject.data.get("dependency-groups", {}),
    )
    plan = replace(make_plan(project, settings, selection), template=template)
    check_locked_files(folder, plan.dependencies.files)
    packages = locked_packages(project.lock, selection, plan.runtime.python)
    found = (*plan.notes, *template_notes(plan), *_git_note(folder, plan, settings))
    for note in found if notes else ():
        command.note(note)
    return Prepared(
        poetry=poetry,
        folder=folder,
        settings=settings,
        plan=plan,
        name=project.metadata.name,
        version=project.metadata.version,
        packages=tuple(packages),
        sources=used_sources(project.sources, packages, project.index),
        addresses=direct_addresses(packages),
        generator=project.lock.generator,
        git_version=_git_version(poetry, plan),
    )


def kept_folders(settings: Settings) -> tuple[str, ...]:
    """Caches and wheels that the settings keep in the project: no build is to see them."""
    wheels = within(settings.download_cache) if settings.download_cache else None
    return (*written_inside(settings.cache), *([wheels] if wheels else []))


def _git_note(folder: Path, plan: ImagePlan, settings: Settings) -> list[str]:
    if plan.files is None:
        return []
    ignore = render_ignore_file(plan, "Dockerfile", kept_folders(settings))
    found = let_through(folder, ignore, plan.files.paths)
    return [f"The image takes what git ignores: {listing(found)}; `ignore` leaves it out."] * bool(
        found
    )


def _git_version(poetry: Poetry, plan: ImagePlan) -> str | None:
    version = str(poetry.package.version)
    return version if plan.version is not None and version != plan.version else None


def _load(command: DockerCommand) -> Poetry:
    """The project; with `-vvv` Poetry tells of its loading on stdout, which is ours."""
    application = command.get_application()
    application._io = IO(command.io.input, command.io.error_output, command.io.error_output)  # noqa: SLF001
    try:
        return command.poetry
    except Exception as error:
        raise unreadable(error, application.project_directory) from error
    finally:
        application._io = command.io  # noqa: SLF001


def _selection_options(command: DockerCommand) -> SelectionOptions:
    return SelectionOptions(
        with_groups=command.many("with"),
        without_groups=command.many("without"),
        only_groups=command.many("only"),
        all_groups=bool(command.option("all-groups")),
        extras=command.many("extras"),
        all_extras=bool(command.option("all-extras")),
    )
