"""What the final image holds beside the installed packages, and how it runs. Pure."""

from __future__ import annotations

import posixpath
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from poetry_docker_cache.docker.ignore_patterns import hiding_line, parse
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.plan.model import Files, Runtime
from poetry_docker_cache.plan.start_command import Start, web_start, worker_start
from poetry_docker_cache.project.model import SourceTreeRoot, WheelRoot
from poetry_docker_cache.project.selection import DEVELOPMENT
from poetry_docker_cache.text import listing

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from poetry_docker_cache.plan.bases import Bases
    from poetry_docker_cache.plan.python_version import Python
    from poetry_docker_cache.project.model import Project
    from poetry_docker_cache.settings.table import Settings

HOME = "/home/app"
_STARTING = ("start", "serve", "server", "run", "web", "api", "app", "main")
_DEFAULT_ENVIRONMENT = {"HOME": HOME, "USER": "app"}


def plan_files(project: Project, settings: Settings, notes: list[str]) -> Files | None:
    """What is copied to the working directory, beside the package or instead of it.

    Raises DockerCacheError for a name that a Dockerfile cannot say.
    """
    workdir = settings.workdir
    if isinstance(project.root, SourceTreeRoot):
        notes.append(
            f"No wheel of the project is installed ({project.root.reason}): it runs from what is"
            f" copied to {workdir}{_lost_scripts(project)}."
        )
    if settings.files == (".",) or (settings.files is None and project.files is None):
        if settings.files is None:
            notes.append(
                f"{workdir} holds everything that the ignore file lets through; set `files` for"
                " less."
            )
        notes += _beside_note(project.beside)
        return Files(paths=())
    if settings.files is not None:
        return Files(paths=checked_paths(settings.files)) if settings.files else None
    found = [path for path in project.files or () if not _is_hidden(path, project.dockerignore)]
    if not found:
        return None
    notes.append(
        f"{workdir} holds {', '.join(found)}, found beside the package; set `files` for others."
    )
    notes += _beside_note([path for path in found if path in project.beside])
    return Files(paths=checked_paths(found))


def _beside_note(beside: Sequence[str]) -> list[str]:
    told = (
        f"The code imports {listing(beside)}, which its wheel lacks: PYTHONPATH leads there, as"
        " `poetry install` does; `packages` in [tool.poetry] would take it into the wheel."
    )
    return [told] if beside else []


def _lost_scripts(project: Project) -> str:
    names = listing(project.scripts)
    return f", where its scripts ({names}) are no commands" if names else ""


def checked_paths(paths: Sequence[str]) -> tuple[str, ...]:
    """The paths, if COPY can name each: BuildKit has no way to quote some characters.

    Raises DockerCacheError.
    """
    for path in paths:
        if re.search(r"[*?\\\x00-\x1f\ud800-\udfff]|^-", path):
            raise DockerCacheError(
                f"{path!r} cannot be copied into an image: a Dockerfile cannot name it, because of"
                " a wildcard, a backslash, a character that is none, or a hyphen in front.",
                fix="Rename it, or name the folder that it is in.",
            )
    return tuple(paths)


def _is_hidden(path: str, dockerignore: str | None) -> bool:
    """Whether the project itself keeps a path out: what was only guessed is not forced in."""
    lines = [parse(line) for line in (dockerignore or "").removeprefix("\ufeff").split("\n")]
    return hiding_line(lines, path) >= 0


def plan_runtime(  # noqa: PLR0913  # what it is decided from
    project: Project,
    settings: Settings,
    *,
    bases: Bases,
    python: Python,
    packages: tuple[str, ...],
    installed: Collection[str],
    notes: list[str],
) -> Runtime:
    """The final image; `installed` are the names of the packages in it."""
    command = _command(project, settings, installed, notes)
    return Runtime(
        image=bases.final,
        has_shell=bases.has_shell,
        python=python.short,
        packages=packages,
        optional_libraries=settings.optional_libraries,
        instructions=settings.instructions.runtime,
        environment={**_environment(project, settings), **dict(settings.env)},
        labels={**_labels(project), **dict(settings.labels)},
        workdir=settings.workdir,
        user=settings.user,
        home=HOME,
        ports=settings.ports,
        healthcheck=settings.healthcheck,
        stop_signal=settings.stop_signal,
        entrypoint=_entrypoint(settings, command, bases, notes),
        command=command,
    )


def _entrypoint(
    settings: Settings, command: tuple[str, ...] | None, bases: Bases, notes: list[str]
) -> tuple[str, ...] | None:
    """The setting; where there is no shell, the base's own would run the command by Python."""
    if bases.has_shell or settings.entrypoint is not None or not command:
        return settings.entrypoint
    notes.append(
        "The ENTRYPOINT that images without a shell have is taken out, so that `command` is what"
        " starts; `entrypoint` sets another."
    )
    return ()


def _environment(project: Project, settings: Settings) -> dict[str, str]:
    root = project.root
    if isinstance(root, SourceTreeRoot):
        folders = {root.import_folder} if root.import_folder else set()
    else:
        folders = {posixpath.dirname(path) for path in project.beside}
    if not folders:
        return _DEFAULT_ENVIRONMENT
    places = [posixpath.join(settings.workdir, it).rstrip("/") for it in sorted(folders)]
    return {**_DEFAULT_ENVIRONMENT, "PYTHONPATH": ":".join(places)}


def _labels(project: Project) -> dict[str, str]:
    """The labels of the OCI image specification that the metadata has values for."""
    metadata = project.metadata
    values = {
        "title": metadata.name,
        "version": metadata.version,
        "description": metadata.description,
        "licenses": metadata.licenses,
        "authors": ", ".join(metadata.authors),
        "url": metadata.homepage,
        "source": metadata.repository,
    }
    # A Dockerfile cannot say a newline here (BuildKit's parser has no escape for it).
    return {
        f"org.opencontainers.image.{key}": re.sub(r"\s*[\r\n]+\s*", " ", value).strip()
        for key, value in values.items()
        if value
    }


def _command(
    project: Project, settings: Settings, installed: Collection[str], notes: list[str]
) -> tuple[str, ...] | None:
    if settings.command is not None or settings.entrypoint is not None:
        return settings.command
    if isinstance(project.root, WheelRoot) and len(project.scripts) == 1:
        return project.scripts
    if project.root.module:
        return ("python", "-m", project.root.module)
    example = _example(project, settings.ports, installed)
    notes.append(
        "The image starts what its base starts: set `command` in [tool.poetry-docker-cache]"
        f"{example}."
    )
    return None


def _example(project: Project, ports: Sequence[str], installed: Collection[str]) -> str:
    """Lines to paste, of what was found: for what serves or runs, and for a worker beside it."""
    found: list[Start | None] = []
    if isinstance(project.root, WheelRoot):  # elsewhere nothing installs the scripts
        likely = (project.metadata.name, *_STARTING)
        scripts = sorted(project.scripts, key=lambda it: it not in likely)
        found += [Start(command=(name,)) for name in scripts]
    web = web_start(project.apps, installed, ports)
    if web and web.missing:
        web = replace(web, group=_group_of(project, web.missing))
    found.append(web)
    worker = worker_start(project.apps, installed)
    found += [Start(command=words) for words in project.start_commands]
    first = next(filter(None, found), None)
    texts = [str(first)] * bool(first) + [f"{worker} for a worker"] * bool(worker)
    return f", for example {', or '.join(texts)}" if texts else ""


def _group_of(project: Project, package: str) -> str | None:
    """The group by which `poetry install` has a package that the image has not."""
    locked = [it for it in project.lock.packages if it["name"] == package]
    groups = {group for it in locked for group in it.get("groups", ())}
    return next(iter(sorted(groups & project.default_groups - DEVELOPMENT)), None)
