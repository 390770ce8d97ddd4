"""The first step of each command: read the project and plan its images."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from poetry_docker_cache.buildx.hidden_folders import written_inside
from poetry_docker_cache.commands.image_choice import chosen
from poetry_docker_cache.docker.ignore_patterns import hiding_line, outermost, parse
from poetry_docker_cache.docker.image_names import default_tag
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.plan.build_context import context_folder
from poetry_docker_cache.plan.collisions import refuse_collisions
from poetry_docker_cache.plan.image_plan import DEV, TEST
from poetry_docker_cache.plan.planner import make_plan
from poetry_docker_cache.project.context_files import matching_files
from poetry_docker_cache.project.credentials import collect, refuse_credentials_in_urls
from poetry_docker_cache.project.front_ends import read_front_ends
from poetry_docker_cache.project.project_tests import with_test_files
from poetry_docker_cache.project.reader import (
    check_files,
    check_locked_files,
    project_folder,
    read_project,
    read_sources,
    settings_table,
)
from poetry_docker_cache.project.selected_packages import locked_packages, path_dependencies
from poetry_docker_cache.project.selection import (
    SelectionOptions,
    extras_for_tests,
    groups_for_tests,
    select,
    select_variant,
    together,
)
from poetry_docker_cache.project.sources import direct_addresses, used_sources
from poetry_docker_cache.render.dockerfile import render_ignore_file
from poetry_docker_cache.render.exported_files import BAKE_FILE, dockerfile_name
from poetry_docker_cache.render.own_template import read_template
from poetry_docker_cache.settings.image_tables import parse_images
from poetry_docker_cache.settings.install_values import within
from poetry_docker_cache.settings.table import Settings
from poetry_docker_cache.system.compat import real_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from poetry.poetry import Poetry

    from poetry_docker_cache.plan.image_plan import ImagePlan, Template, VariantName
    from poetry_docker_cache.project.credentials import AuthSecret
    from poetry_docker_cache.project.model import Address, FrontEnd, Lock, Project, Selection


@dataclass(frozen=True, kw_only=True)
class PlannedImage:
    """One image of the project with its settings and plan."""

    poetry: Poetry
    folder: Path
    context: Path
    """The build context: the project's folder or a folder above it."""
    settings: Settings
    plan: ImagePlan
    image: str
    """The image's name in the settings; empty for the only image of a project."""
    name: str | None
    """The project's name, followed by the image's."""
    title: str
    """The same, with the folder's name for a project without a name."""
    version: str | None
    packages: tuple[Mapping[str, Any], ...]
    """The `[[package]]` tables of the packages that the image may contain."""
    path_packages: tuple[Mapping[str, Any], ...]
    """Those of its path dependencies."""
    sources: tuple[str, ...]
    """The names of the sources that a build contacts."""
    addresses: tuple[Address, ...]
    """Other addresses that a build requests over HTTP."""
    front_ends: tuple[FrontEnd, ...]
    """The front ends that are built for it."""
    lock: Lock
    git_version: str | None
    """The version from git: that in the build backend's own variable, or the one that a plugin of
    Poetry, such as poetry-dynamic-versioning, has read."""
    kept: tuple[str, ...]
    """Caches and wheels that the settings of any image keep in the project: excluded from every
    build. Relative to the context."""
    exported: tuple[str, ...]
    """The files that `export` writes for several images: excluded from every build."""
    suffix: str = ""
    """The end of the default tag of an image for development or tests."""

    def own_name(self, version: str | None) -> str:
        """Return the default name of the image, with this version as its tag."""
        image = self.settings.image
        return default_tag(self.title, version, image=image, among=self.image)

    @property
    def default_tag(self) -> str:
        """The name of the image without `-t`."""
        return f"{self.own_name(self.git_version or self.version)}{self.suffix}"

    def ignore_file(
        self,
        dockerfile: str | None = None,
        *,
        hidden: Sequence[str] | None = None,
        scripts: str | None = None,
    ) -> str:
        """Render the ignore file, without banner; by default that of a Dockerfile in the project.

        `hidden` replaces the folders that are kept in the project.
        """
        return render_ignore_file(
            self.plan,
            dockerfile or self.plan.located("Dockerfile"),
            self.kept if hidden is None else hidden,
            self.exported,
            scripts=scripts,
        )


def plan_images(
    poetry: Poetry,
    names: Sequence[str],
    selection: SelectionOptions,
    variants: Mapping[VariantName, SelectionOptions] = MappingProxyType({}),
    *,
    may_be_stale: bool = False,
) -> tuple[PlannedImage, ...]:
    """Read the project and plan the images with these names, or all.

    A project without named images has a single one, named "". `variants` are the images for
    development and tests to plan on top of each. With `may_be_stale`, a stale lock file is
    accepted. Raises DockerCacheError for an unknown name.
    """
    table = settings_table(poetry)
    images = parse_images(table) or {"": Settings.parse(table)}
    asked = chosen(names, images)
    # Before the lock file is checked: `poetry lock` would copy the credentials into it.
    refuse_credentials_in_urls({source.name: source.url for source in read_sources(poetry)})
    folder = project_folder(poetry)
    templates = {
        name: read_template(folder, settings.template) for name, settings in images.items()
    }
    front_ends = read_front_ends(folder, images.values())
    project = replace(read_project(poetry, may_be_stale=may_be_stale), front_ends=front_ends)
    if variants:
        project = with_test_files(folder, project)
    metadata = project.metadata
    if images.keys() != {""}:
        refuse_collisions(images, name=metadata.name or folder.name, version=metadata.version)
    selections = {}
    for name, settings in images.items():
        with _naming(name):
            files = matching_files(folder, settings.files, project.dockerignore)
            check_files(folder, files)
            copied = [each.source for each in settings.copy if each.image is None]
            check_files(folder, copied, key="copy")
            images[name] = replace(settings, files=files)
            for step in settings.run:
                check_files(folder, step.dependencies, key="run")
            _select(project, settings, poetry, SelectionOptions())
        selections[name] = _select(project, settings, poetry, selection)
    planned = []
    for name in asked:
        with _naming(name):
            chosen_by = {
                variant: _select_variant(
                    project, images[name], selections[name], poetry, variant, options
                )
                for variant, options in variants.items()
            }
            image = _planned(poetry, project, name, images, selections, chosen_by)
        planned.append(_with_hidden_tests(_with_template(image, templates[name]), project.tests))
        check_locked_files(folder, image.plan.dependencies.files)
    return tuple(planned)


def collect_secret(images: Sequence[PlannedImage]) -> AuthSecret:
    """Collect the credentials that these builds need. Raises what `collect` raises."""
    sources = tuple(dict.fromkeys(name for image in images for name in image.sources))
    addresses = tuple(sorted({address for image in images for address in image.addresses}))
    return collect(images[0].poetry, sources, addresses)


@contextlib.contextmanager
def _naming(image: str) -> Iterator[None]:
    """Add the name of the image to an error in its settings."""
    try:
        yield
    except DockerCacheError as error:
        if not image:
            raise
        raise DockerCacheError(f"`images.{image}`: {error.problem}", fix=error.fix) from error


def _select(
    project: Project, settings: Settings, poetry: Poetry, options: SelectionOptions
) -> Selection:
    return select(
        options,
        default_groups=settings.groups,
        default_extras=settings.extras,
        groups=project.groups,
        extras=project.extras,
        unread_groups=poetry.pyproject.data.get("dependency-groups", {}),
    )


def _select_variant(  # noqa: PLR0913, PLR0917  # all that decides
    project: Project,
    settings: Settings,
    base: Selection,
    poetry: Poetry,
    variant: VariantName,
    options: SelectionOptions,
) -> Selection:
    if variant == DEV:
        own = settings.dev
        groups, extras = tuple(sorted(project.default_groups)), own.extras
    else:
        own = settings.test
        groups, extras = groups_for_tests(project), own.extras or extras_for_tests(project)
    return select_variant(
        options,
        base,
        default_groups=groups if own.groups is None else own.groups,
        default_extras=extras,
        groups=project.groups,
        extras=project.extras,
        unread_groups=poetry.pyproject.data.get("dependency-groups", {}),
    )


def _planned(  # noqa: PLR0913, PLR0917  # all that decides
    poetry: Poetry,
    project: Project,
    image: str,
    images: Mapping[str, Settings],
    selections: Mapping[str, Selection],
    variants: Mapping[VariantName, Selection],
) -> PlannedImage:
    named = {name: selection for name, selection in selections.items() if name}
    installs = {
        name: {"groups": selection.groups, "extras": selection.extras}
        for name, selection in named.items()
    }
    # Images that all install the same share their layers anyway, and the packages of an older lock
    # file cannot be divided among images.
    shares = len(set(named.values())) > 1 and project.lock.older_format is None
    plan = make_plan(
        project,
        images[image],
        selections[image],
        installs if shares else None,
        selected_by_any=together(selections.values()),
        variants=variants,
    )
    everything = together([selections[image], *variants.values()])
    packages = locked_packages(project.lock, everything, plan.runtime.python)
    name = project.metadata.name
    folder = project_folder(poetry)
    home = real_path(os.path.expanduser("~"))  # noqa: PTH111  # Path.home() may raise
    kept = dict.fromkeys(path for settings in images.values() for path in kept_folders(settings))
    return PlannedImage(
        poetry=poetry,
        folder=folder,
        context=context_folder(folder, plan.folder, home=home),
        settings=images[image],
        plan=plan,
        image=image,
        name=_joined(name, image) if name else None,
        title=_joined(name or folder.name, image),
        version=project.metadata.version,
        packages=tuple(packages),
        path_packages=tuple(path_dependencies(project.lock, everything, plan.runtime.python)),
        sources=used_sources(project.sources, packages, project.index),
        addresses=direct_addresses(packages),
        front_ends=tuple(project.front_ends[each.folder] for each in images[image].assets),
        lock=project.lock,
        git_version=_git_version(poetry, plan),
        kept=tuple(map(plan.located, kept)),
        exported=tuple(map(plan.located, _exported(images))) if image else (),
    )


def _joined(name: str, image: str) -> str:
    return f"{name}-{image}" if image else name


def _with_hidden_tests(image: PlannedImage, tests: Sequence[str]) -> PlannedImage:
    """Give the image for tests back what the ignore file keeps out of a whole source tree.

    The files of the final image are the same as without it.
    """
    plan = image.plan
    if plan.files is None or plan.files.paths or all(each.name != TEST for each in plan.variants):
        return image
    usual = replace(image, plan=replace(plan, variants=())).ignore_file()
    lines = [parse(line) for line in usual.splitlines()]
    hidden = tuple(
        path
        for path in tests
        if max(hiding_line(lines, plan.located(each)) for each in (path, f"{path}/x")) >= 0
    )
    variants = (
        replace(each, paths=outermost((*each.paths, *hidden))) if each.name == TEST else each
        for each in plan.variants
    )
    files = replace(plan.files, removed=hidden)
    return replace(image, plan=replace(plan, files=files, variants=tuple(variants)))


def _with_template(image: PlannedImage, template: Template | None) -> PlannedImage:
    return replace(image, plan=replace(image.plan, template=template))


def _exported(images: Mapping[str, Settings]) -> tuple[str, ...]:
    files = [dockerfile_name(name) for name in images]
    return (*files, *(f"{file}.dockerignore" for file in files), BAKE_FILE)


def kept_folders(settings: Settings) -> tuple[str, ...]:
    """Return the folders of caches and wheels that the settings keep in the project."""
    wheels = within(settings.download_cache) if settings.download_cache else None
    return (*written_inside(settings.cache), *([wheels] if wheels else []))


def _git_version(poetry: Poetry, plan: ImagePlan) -> str | None:
    stated = filter(None, map(os.environ.get, plan.version_variables))
    version = next(stated, str(poetry.package.version))
    return version if plan.version is not None and version != plan.version else None
