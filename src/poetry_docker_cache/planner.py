"""Project + Settings -> ImagePlan: where every decision about the image is made. Pure."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.images import build_image, final_image
from poetry_docker_cache.inside.manifest import Target, needs_build
from poetry_docker_cache.plan import (
    Application,
    Dependencies,
    ImagePlan,
    Index,
)
from poetry_docker_cache.python import Python, choose_poetry, choose_python, locked_packages
from poetry_docker_cache.root import SourceTreeRoot, WheelRoot
from poetry_docker_cache.runtime import checked_paths, plan_files, plan_runtime

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from poetry_docker_cache.project import InstallerConfig, Project
    from poetry_docker_cache.selection import Selection
    from poetry_docker_cache.settings import Settings

_SYNTAX = "docker/dockerfile:1"
_VERSION_FROM_GIT = {
    "poetry-dynamic-versioning": "POETRY_DYNAMIC_VERSIONING_BYPASS",
    "setuptools-scm": "SETUPTOOLS_SCM_PRETEND_VERSION",
    "hatch-vcs": "SETUPTOOLS_SCM_PRETEND_VERSION",
}
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
        application=_application(
            project, settings, base=base, builder=builder, index=index, notes=notes
        ),
        files=plan_files(project, settings, notes),
        runtime=plan_runtime(project, settings, base, python, notes),
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
        if kind != "legacy" and kind not in _NOT_YET:
            raise DockerCacheError(
                f"poetry.lock takes {package['name']} from a source of the unknown type {kind!r}.",
                fix="Run `poetry lock`; update the plugin if a newer Poetry wrote the lock.",
            )
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


def _application(  # noqa: PLR0913  # what it is decided from
    project: Project,
    settings: Settings,
    *,
    base: str,
    builder: str,
    index: Index | None,
    notes: list[str],
) -> Application | None:
    root = project.root
    if isinstance(root, SourceTreeRoot):
        return None
    if root.needs_compiler:
        notes.append(f"The project has code to compile: its wheel is built on {builder}.")
    return Application(
        image=builder if root.needs_compiler else base,
        name=project.metadata.name or "",
        requires=root.requires,
        backend=root.backend,
        backend_path=root.backend_path,
        environment=_version_instead_of_git(project, root, notes),
        packages=settings.build_packages if root.needs_compiler else (),
        paths=checked_paths(root.paths),
        index=index,
    )


def _version_instead_of_git(project: Project, root: WheelRoot, notes: list[str]) -> dict[str, str]:
    """What tells a backend the version that it would ask git for: there is no `.git` in a build."""
    names = {
        str(canonicalize_name(re.split(r"[^\w.-]", requirement, maxsplit=1)[0]))
        for requirement in root.requires
    }
    variables = {variable for name, variable in _VERSION_FROM_GIT.items() if name in names}
    if not variables:
        return {}
    version = project.metadata.version or "0.0.0"
    notes.append(
        "The project takes its version from git, which a build does not see: the package in the"
        f" image says {version}."
    )
    return dict.fromkeys(sorted(variables), version)
