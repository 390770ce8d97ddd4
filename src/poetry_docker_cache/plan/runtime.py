"""The final image: its files beside the installed packages, and how it starts. Pure."""

from __future__ import annotations

import posixpath
import re
import shlex
from dataclasses import astuple, replace
from typing import TYPE_CHECKING

from poetry_docker_cache.docker.ignore_patterns import is_inside, may_be_folder
from poetry_docker_cache.plan.build_context import checked_paths
from poetry_docker_cache.plan.image_additions import init_packages, plan_additions, with_init
from poetry_docker_cache.plan.image_plan import NO_COMMAND, Files, MissingStart, Runtime
from poetry_docker_cache.plan.mistaken_values import poetry_notes, variable_notes
from poetry_docker_cache.plan.start_command import Start, choose_start, is_hidden
from poetry_docker_cache.project.model import SourceTreeRoot, WheelRoot
from poetry_docker_cache.text import listing

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from poetry_docker_cache.plan.bases import Bases
    from poetry_docker_cache.plan.contents import Contents
    from poetry_docker_cache.plan.image_plan import Notes
    from poetry_docker_cache.plan.system_packages import SystemPackages
    from poetry_docker_cache.project.model import Metadata, Project
    from poetry_docker_cache.settings.table import Settings

_HOME, _OTHER_HOME = "/home/app", "/var/lib/app"


def plan_files(
    project: Project, settings: Settings, *, tested: bool = False
) -> tuple[Files | None, Notes]:
    """What is copied to the working directory, beside the package or instead of it.

    The image for tests, if there is one, gets what is left out. Raises DockerCacheError for a path
    that a Dockerfile cannot name.
    """
    source_notes = _source_tree_notes(project, settings)
    files, notes = _files(project, settings)
    if files and tested:
        kept = (path for path in files.left_out if not path.startswith("."))
        files = replace(files, removed=checked_paths([*kept]))
    return files, (*source_notes, *notes)


def _source_tree_notes(project: Project, settings: Settings) -> Notes:
    if isinstance(project.root, WheelRoot):
        return ()
    names = listing(project.scripts)
    lost = f" Its scripts ({names}) are not installed." if names else ""
    note = (
        f"The project is not installed as a wheel ({project.root.reason}): it runs from source in"
        f" {settings.workdir}.{lost}"
    )
    return (note,)


def _files(project: Project, settings: Settings) -> tuple[Files | None, Notes]:
    workdir = settings.workdir
    if settings.files == (".",):
        return Files(paths=()), _unpackaged_notes(project.unpackaged)
    if settings.files is not None:
        return Files(paths=checked_paths(settings.files)) if settings.files else None, ()
    if project.files is None:
        note = (
            f"{workdir} contains all files that the ignore file does not exclude. Set `files` to"
            " copy fewer."
        )
        files = Files(paths=(), left_out=_left_out(project, settings))
        return files, (note, *_left_out_notes(files), *_unpackaged_notes(project.unpackaged))
    found = [path for path in project.files if not is_hidden(path, project.dockerignore)]
    if not found:
        return None, ()
    note = (
        f"{workdir} contains {', '.join(found)}, found beside the package. Set `files` to copy"
        " others."
    )
    unpackaged = [path for path in found if path in project.unpackaged]
    return Files(paths=checked_paths(found)), (note, *_unpackaged_notes(unpackaged))


def _left_out(project: Project, settings: Settings) -> tuple[str, ...]:
    """What only development needs, except what a setting names."""
    words = {*re.split(r"[^\w.-]+", repr(astuple(settings)))}
    return tuple(path for path in project.development if posixpath.basename(path) not in words)


def _left_out_notes(files: Files) -> Notes:
    seen = [posixpath.basename(path) for path in files.left_out if not path.startswith(".")]
    names = [*dict.fromkeys(seen)]
    last = "".join(names[-1:])
    note = (
        f"Left out, because only development needs it: {listing(names)}. To include {last}, set"
        f' `ignore = ["!{last}"]`.'
    )
    return (note,) if names else ()


def _unpackaged_notes(modules: Sequence[str]) -> Notes:
    note = (
        f"The code imports modules that the wheel does not contain: {listing(modules)}. PYTHONPATH"
        " includes their folder, as with `poetry install`. To include them in the wheel, add them"
        " to `packages` in [tool.poetry]."
    )
    return (note,) if modules else ()


def plan_runtime(  # noqa: PLR0913  # all inputs of the decision
    project: Project,
    settings: Settings,
    contents: Contents,
    version: str | None,
    *,
    folder: str,
    files: Files | None,
    bases: Bases,
    system: SystemPackages,
) -> tuple[Runtime, Notes]:
    """The final image.

    `version` is the default of the build argument, if there is one, and `folder` is the path of the
    project in the build context. Raises DockerCacheError for settings that contradict each other.
    """
    start, command_notes = _started(project, settings, contents.names, has_shell=bases.has_shell)
    command = start.command if start else settings.command
    entrypoint, entrypoint_notes = _entrypoint(settings, command, bases)
    entrypoint, init_notes = with_init(settings, entrypoint)
    environment, environment_notes = _environment(project, settings, files, start)
    additions = plan_additions(settings, environment, folder)
    runtime = Runtime(
        image=bases.final,
        has_shell=bases.has_shell,
        python=bases.python.short,
        checked_on_build_platform=bool(settings.platforms),
        packages=system.runtime,
        optional_libraries=settings.optional_libraries,
        instructions=settings.instructions.runtime,
        environment=environment,
        labels={
            **_labels(project.metadata, is_argument=version is not None),
            **dict(settings.labels),
        },
        workdir=settings.workdir,
        user=settings.user,
        home=home_folder(settings.workdir),
        folders=additions.folders,
        volumes=additions.volumes,
        copies=additions.copies,
        arguments=additions.arguments,
        ports=settings.ports or (start.ports if start else ()),
        healthcheck=settings.healthcheck,
        stop_signal=settings.stop_signal,
        init=bool(init_packages(settings, bases)),
        entrypoint=entrypoint,
        command=command,
        start_reason=start.source or None if start else None,
    )
    notes = (*command_notes, *entrypoint_notes, *init_notes, *environment_notes)
    return runtime, (*notes, *poetry_notes(settings, contents.names))


def home_folder(workdir: str) -> str:
    """The folder that the image's user owns, apart from the code in the working directory."""
    overlaps = is_inside(workdir, [_HOME]) or is_inside(_HOME, [workdir])
    return _OTHER_HOME if overlaps else _HOME


def _entrypoint(
    settings: Settings, command: tuple[str, ...] | None, bases: Bases
) -> tuple[tuple[str, ...] | None, Notes]:
    """The setting; empty if an image without a shell would pass the command to its Python."""
    if bases.has_shell or settings.entrypoint is not None or not command:
        return settings.entrypoint, ()
    note = (
        "The ENTRYPOINT of the base image is cleared, so that the image starts `command`. Set"
        " `entrypoint` to use another."
    )
    return (), (note,) if command != NO_COMMAND else ()


def _environment(
    project: Project, settings: Settings, files: Files | None, start: Start | None
) -> tuple[dict[str, str], Notes]:
    """The variables of the image: PYTHONPATH if code in the working directory is imported."""
    root, own = project.root, dict(settings.env)
    doubled: list[str] = []
    if isinstance(root, SourceTreeRoot):
        folders = {root.import_folder} if root.import_folder else set()
    else:
        folders = {posixpath.dirname(path) for path in project.unpackaged}
        doubled = [path for path in root.paths if files and _is_code_in(path, files)]
        above = (posixpath.dirname(path) or "." for path in doubled)
        folders |= {*(root.import_folders or above)} if doubled else set()
    places = [posixpath.normpath(posixpath.join(settings.workdir, path)) for path in folders]
    path = {"PYTHONPATH": ":".join(dict.fromkeys(sorted(places)))} if places else {}
    note = (
        f"{settings.workdir} and the installed wheel both contain {listing(doubled)}. The copy in"
        f" {settings.workdir} is imported, as with `poetry install`. For a single copy, set `files`"
        " to what the wheel does not contain."
    )
    notes = (note,) if doubled and "PYTHONPATH" not in own else ()
    name = "app" if ":" in settings.user else settings.user
    user = {"HOME": home_folder(settings.workdir), "USER": name}
    defaults = {**user, **path, **(start.environment if start else {})}
    return {**defaults, **own}, (*notes, *variable_notes(settings, defaults))


def _is_code_in(path: str, files: Files) -> bool:
    """Whether a path of the wheel holds modules and is copied to the working directory, too."""
    is_code = path.endswith(".py") or may_be_folder(path)
    return (
        is_code and not path.startswith("..") and (not files.paths or is_inside(path, files.paths))
    )


def _labels(metadata: Metadata, *, is_argument: bool) -> dict[str, str]:
    """The labels of the OCI image specification that the metadata has values for.

    If the version is a build argument, the template adds its label.
    """
    values = {
        "title": metadata.name,
        "version": None if is_argument else metadata.version,
        "description": metadata.description,
        "licenses": metadata.licenses,
        "authors": ", ".join(metadata.authors),
        "url": metadata.homepage,
        "source": metadata.repository,
    }
    # A label in a Dockerfile cannot contain a newline: BuildKit's parser has no escape for it.
    return {
        f"org.opencontainers.image.{key}": re.sub(r"\s*[\r\n]+\s*", " ", value).strip()
        for key, value in values.items()
        if value
    }


def _started(
    project: Project, settings: Settings, installed: Collection[str], *, has_shell: bool
) -> tuple[Start | None, Notes]:
    """The default start command, or one that says what is missing; None if the settings decide."""
    if settings.command is not None or settings.entrypoint is not None:
        return None, ()
    choice = choose_start(project, settings, installed, has_shell=has_shell)
    problems = tuple(f"The start command is not taken from {text}." for text in choice.problems)
    if choice.start is None:
        examples = " or ".join(map(str, choice.proposals))
        example = f", for example {examples}" if examples else ""
        note = (
            "No start command is set: the container says so and exits with status 1. Add"
            f" `command` to [tool.poetry-docker-cache]{example}."
        )
        return Start(command=NO_COMMAND), (*problems, MissingStart(note))
    note = (
        f"Starts `{shlex.join(choice.start.command)}`: from {choice.start.source}. Change it with"
        " `command`."
    )
    return choice.start, (*problems, note)
