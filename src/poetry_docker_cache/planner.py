"""Project + Settings -> ImagePlan: where every decision about the image is made. Pure."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.images import build_image, final_image
from poetry_docker_cache.inside.manifest import Target, needs_build
from poetry_docker_cache.plan import (
    Application,
    Dependencies,
    Files,
    ImagePlan,
    Index,
    Runtime,
)
from poetry_docker_cache.python import Python, choose_poetry, choose_python, locked_packages
from poetry_docker_cache.root import SourceTreeRoot, WheelRoot

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from poetry_docker_cache.project import InstallerConfig, Project
    from poetry_docker_cache.selection import Selection
    from poetry_docker_cache.settings import Settings

HOME = "/home/app"
_DEFAULT_ENVIRONMENT = {"HOME": HOME, "USER": "app"}
_SYNTAX = "docker/dockerfile:1"
_NOT_YET = {
    "directory": "a path dependency",
    "file": "a file dependency",
    "git": "a git dependency",
    "url": "a URL dependency",
}


def make_plan(project: Project, settings: Settings, selection: Selection) -> ImagePlan:
    """The image of this project.

    Raises DockerCacheError for what cannot be built, or not yet.
    """
    notes: list[str] = []
    python = choose_python(
        project.requires_python,
        setting=settings.python,
        pinned=project.pinned_python,
        lock=project.lock,
        selection=selection,
    )
    notes.append(f"Python {python.tag}: {python.reason}.")
    packages = locked_packages(project.lock, selection, python.short)
    _refuse_sources(project, packages)
    base = final_image(settings, python)
    index = Index(name=project.index.name, url=project.index.url) if project.index else None
    from_source = _from_source(project, packages, python)
    builder = build_image(settings, python, base)
    if from_source:
        notes.append(
            f"{_listing(from_source)} must be built from source: the dependencies are installed on"
            f" {builder}."
        )
    return ImagePlan(
        syntax=_SYNTAX if settings.syntax == "auto" else settings.syntax or None,
        dependencies=Dependencies(
            image=builder if from_source else base,
            poetry=choose_poetry(
                project.lock.generator, setting=settings.poetry_version, python=python
            ),
            index=index,
            groups=selection.groups,
            extras=selection.extras,
            no_binary=project.installer.no_binary,
            only_binary=project.installer.only_binary,
            environment=_installer_environment(project.installer),
            build_config_settings=_json(project.installer.build_config_settings),
            packages=settings.build_packages,
            instructions=settings.instructions.build,
        ),
        application=_application(project, (base, builder), index),
        files=_files(project, settings, notes),
        runtime=_runtime(project, settings, base, python, notes),
        ignore=settings.ignore,
        git_ignored=project.root.git_ignored if isinstance(project.root, WheelRoot) else (),
        dockerignore=project.dockerignore,
        notes=tuple(notes),
    )


def _refuse_sources(project: Project, packages: Sequence[Mapping[str, Any]]) -> None:
    known = {source.name.lower() for source in project.sources}
    for package in packages:
        source = package.get("source", {})
        kind = source.get("type", "legacy")
        if kind in _NOT_YET:
            url = re.sub(r"//[^/@]*@", "//", str(source.get("url")))  # a password may be in it
            raise DockerCacheError(
                f"{package['name']} is {_NOT_YET[kind]} ({url}), which this release"
                " cannot install into an image.",
                fix=(
                    "Take it from a package index, or leave its group out of the image"
                    " (`--without`, or `groups` in [tool.poetry-docker-cache])."
                ),
            )
        if source and str(source.get("reference", "")).lower() not in known:
            raise DockerCacheError(
                f"poetry.lock takes {package['name']} from the source"
                f" {source.get('reference')!r}, which pyproject.toml does not have.",
                fix="Add it as a [[tool.poetry.source]], or run `poetry lock`.",
            )


def used_sources(project: Project, selection: Selection, python: str) -> tuple[str, ...]:
    """The names of the sources that a build contacts: those of the packages, and the index."""
    packages = locked_packages(project.lock, selection, python)
    used = {str(p["source"]["reference"]).lower() for p in packages if p.get("source")}
    if project.index:
        used.add(project.index.name.lower())
    return tuple(
        source.name
        for source in project.sources
        if source.name.lower() in used and not source.is_pypi
    )


def _from_source(
    project: Project, packages: Sequence[Mapping[str, Any]], python: Python
) -> list[str]:
    target = Target.linux(python=python.short)
    # As in Poetry's chooser, a name counts more than the `:all:` of the other list.
    no_binary = set(project.installer.no_binary)
    by_name = set(project.installer.only_binary)
    return [
        package["name"]
        for package in packages
        if needs_build(package, target)
        or package["name"] in no_binary
        or (":all:" in no_binary and package["name"] not in by_name)
    ]


def _listing(names: Sequence[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _installer_environment(config: InstallerConfig) -> dict[str, str]:
    names = {
        "POETRY_INSTALLER_NO_BINARY": config.no_binary,
        "POETRY_INSTALLER_ONLY_BINARY": config.only_binary,
    }
    return {variable: ",".join(packages) for variable, packages in names.items() if packages}


def _json(settings: Mapping[str, Any]) -> str | None:
    return json.dumps(settings, sort_keys=True) if settings else None


def _application(
    project: Project, images: tuple[str, str], index: Index | None
) -> Application | None:
    root = project.root
    if isinstance(root, SourceTreeRoot):
        return None
    base, builder = images
    return Application(
        image=builder if root.needs_compiler else base,
        name=project.metadata.name or "",
        requires=root.requires,
        backend=root.backend,
        backend_path=root.backend_path,
        paths=root.paths,
        index=index,
    )


def _files(project: Project, settings: Settings, notes: list[str]) -> Files | None:
    if settings.files == (".",):
        return Files(paths=())
    if settings.files is not None:
        return Files(paths=settings.files) if settings.files else None
    if isinstance(project.root, SourceTreeRoot):
        notes.append(
            f"No wheel of the project is installed ({project.root.reason}): it runs from its source"
            f" tree in {settings.workdir}."
        )
    if project.files is None:
        notes.append(
            f"{settings.workdir} holds everything that the ignore file lets through; `files` names"
            " less."
        )
        return Files(paths=())
    if not project.files:
        return None
    notes.append(
        f"{settings.workdir} holds {_listing(project.files)}, found beside the package; `files`"
        " names others."
    )
    return Files(paths=project.files)


def _runtime(
    project: Project, settings: Settings, base: str, python: Python, notes: list[str]
) -> Runtime:
    return Runtime(
        image=base,
        python=python.short,
        packages=settings.runtime_packages,
        instructions=settings.instructions.runtime,
        environment={**_DEFAULT_ENVIRONMENT, **dict(settings.env)},
        labels={**_labels(project), **dict(settings.labels)},
        workdir=settings.workdir,
        user=settings.user,
        home=HOME,
        ports=settings.ports,
        healthcheck=settings.healthcheck,
        stop_signal=settings.stop_signal,
        entrypoint=settings.entrypoint,
        command=_command(project, settings, notes),
    )


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


def _command(project: Project, settings: Settings, notes: list[str]) -> tuple[str, ...] | None:
    if settings.command is not None or settings.entrypoint is not None:
        return settings.command
    if isinstance(project.root, WheelRoot):
        if len(project.scripts) == 1:
            return project.scripts
        if project.root.module:
            return ("python", "-m", project.root.module)
    scripts = ""
    if project.scripts and isinstance(project.root, WheelRoot):  # elsewhere nothing installs them
        scripts = f" (the project's scripts: {', '.join(project.scripts)})"
    notes.append(f"The image starts what its base starts; `command` names another{scripts}.")
    return None
