"""The images for development and tests: what they have besides the final image. Pure."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from poetry_docker_cache.docker.ignore_patterns import is_inside, may_be_folder, outermost
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.inside.manifest.variant import ADDED, added_lock
from poetry_docker_cache.plan.build_context import checked_paths
from poetry_docker_cache.plan.dependencies import planned_target
from poetry_docker_cache.plan.image_plan import DEV, NO_COMMAND, TEST, Variant
from poetry_docker_cache.plan.layer_split import automatic
from poetry_docker_cache.plan.reloading import Reloading, reloading
from poetry_docker_cache.plan.system_packages import plan_system_packages
from poetry_docker_cache.project.model import Selection, SourceTreeRoot, WheelRoot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from poetry_docker_cache.plan.bases import Bases
    from poetry_docker_cache.plan.contents import Contents, WheelSource
    from poetry_docker_cache.plan.image_plan import (
        Dependencies,
        Files,
        Layer,
        Notes,
        Runtime,
        VariantName,
        Wheel,
    )
    from poetry_docker_cache.project.model import Project
    from poetry_docker_cache.settings.table import Settings
    from poetry_docker_cache.settings.variant_values import VariantSettings

_MOST_LAYERS = 4
"""These layers are rarely pushed, and each takes a start of the installer."""
EVERYTHING = Selection(groups=(ADDED,), extras=())
"""The selection of all packages of an added project."""


@dataclass(frozen=True, kw_only=True)
class Addition:
    """What a variant installs besides the final image."""

    name: VariantName
    selection: Selection
    contents: Contents
    layers: tuple[Layer, ...]
    notes: Notes

    @property
    def sources(self) -> tuple[WheelSource, ...]:
        """The sources of path dependencies."""
        return self.contents.sources


def added_project(
    project: Project, settings: Settings, base: Selection, selection: Selection, bases: Bases
) -> tuple[Project, Settings]:
    """The project and settings of an image that has only what this selection adds to the base.

    Raises DockerCacheError for a package that both want in different versions.
    """
    environment = planned_target(settings, bases.python).environment
    try:
        data = added_lock(project.lock.data, chosen(base), chosen(selection), environment)
    except ValueError as error:
        text = str(error)
        raise DockerCacheError(
            f"{text[:1].upper()}{text[1:]}.",
            fix="Leave the group or extra out (`--without`), or add it to the image (`groups` and"
            " `extras` in [tool.poetry-docker-cache]).",
        ) from error
    most = automatic(len(data["package"]))
    layers = min(_MOST_LAYERS, most if settings.layers == "auto" else settings.layers)
    return (
        replace(
            project,
            lock=replace(project.lock, data=data),
            root=SourceTreeRoot(reason=""),
        ),
        replace(settings, layers=layers, own_layers=(), download_cache=None),
    )


def plan_addition(
    name: VariantName, selection: Selection, contents: Contents, notes: Notes
) -> Addition:
    """What the image installs in addition; `contents` are those of the added project."""
    prefix = f"{name}-"
    named = (replace(each, name=f"{prefix}{each.name}", prefix=prefix) for each in contents.layers)
    return Addition(
        name=name, selection=selection, contents=contents, layers=tuple(named), notes=notes
    )


def chosen(selection: Selection) -> dict[str, tuple[str, ...]]:
    """The selection as the script in the build takes it."""
    return {"groups": selection.groups, "extras": selection.extras}


def plan_variant(  # noqa: PLR0913  # all inputs of the decision
    addition: Addition,
    project: Project,
    settings: Settings,
    base: Selection,
    *,
    contents: Contents,
    dependencies: Dependencies,
    wheels: Sequence[Wheel],
    files: Files | None,
    runtime: Runtime,
    bases: Bases,
) -> Variant:
    """The image for development or tests; `wheels` are those of its path dependencies."""
    own = settings.dev if addition.name == DEV else settings.test
    system, _ = plan_system_packages(settings, addition.layers, bases)
    built = any(layer.from_source for layer in addition.layers)
    installed = {
        str(canonicalize_name(name)) for name in (*contents.names, *addition.contents.names)
    }
    variant = Variant(
        name=addition.name,
        base=chosen(base),
        groups=addition.selection.groups,
        extras=addition.selection.extras,
        layers=addition.layers,
        wheels=tuple(wheels),
        build_packages=_others(system.build, dependencies.packages) if built else (),
        runtime_packages=_others(system.runtime, runtime.packages),
        paths=(),
        owns_files=addition.name == DEV and files is not None,
        environment=dict(own.env),
        entrypoint=None,
        command=None,
    )
    if addition.name == TEST:
        return _for_tests(variant, project, own, files, installed)
    return _for_development(variant, project, own, runtime, installed)


def _others(packages: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    return tuple(package for package in packages if package not in known)


def _for_tests(
    variant: Variant,
    project: Project,
    own: VariantSettings,
    files: Files | None,
    installed: set[str],
) -> Variant:
    command = own.command
    if command is None and "pytest" in installed:
        command = ("python", "-m", "pytest")
    elif command is None and project.has_manage_py and "django" in installed:
        command = ("python", "manage.py", "test")
    elif command is None:
        command = ("python", "-m", "unittest")
    whole = files is not None and not files.paths
    paths = files.removed if files and whole else project.tests
    return replace(
        variant,
        paths=checked_paths(outermost((*paths, *own.files))),
        entrypoint=(),
        command=command,
        network=own.network,
    )


def _for_development(
    variant: Variant,
    project: Project,
    own: VariantSettings,
    runtime: Runtime,
    installed: set[str],
) -> Variant:
    paths, folders = _sources(project)
    places = [posixpath.normpath(posixpath.join(runtime.workdir, folder)) for folder in folders]
    before = runtime.environment.get("PYTHONPATH")
    path = {"PYTHONPATH": ":".join(dict.fromkeys([*places, *([before] if before else [])]))}
    variant = replace(
        variant,
        paths=checked_paths(paths),
        environment={**(path if places else {}), **variant.environment},
    )
    if own.command is not None:
        start = reloading(own.command, installed=installed, has_manage_py=False)
        reloads = start.reloads and start.words == own.command
        return replace(variant, command=own.command, reloads=reloads)
    words = runtime.command or runtime.entrypoint
    if not words or words == NO_COMMAND:
        return variant
    start = reloading(words, installed=installed, has_manage_py=project.has_manage_py)
    if not start.reloads:
        return variant
    return _started(variant, start, in_entrypoint=not runtime.command)


def _started(variant: Variant, start: Reloading, *, in_entrypoint: bool) -> Variant:
    entrypoint = start.words if in_entrypoint else variant.entrypoint
    command = variant.command if in_entrypoint else start.words
    return replace(variant, entrypoint=entrypoint, command=command, reloads=True)


def _sources(project: Project) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The code of the project's own wheel, and the folders that it is imported from."""
    root = project.root
    if not isinstance(root, WheelRoot):
        return (), ()  # the final image has the source tree
    if root.whole:
        return (".",), root.import_folders or (".",)
    code = [path for path in root.paths if path.endswith(".py") or may_be_folder(path)]
    code = [path for path in code if not path.startswith("..")]
    folders = root.import_folders or tuple({posixpath.dirname(path) or "." for path in code})
    if any(folder != "." for folder in folders):
        code = [path for path in code if is_inside(path, folders) or "." in folders]
    return tuple(code), tuple(sorted(folders)) if code else ()


def split_wheels(
    wheels: Sequence[Wheel], additions: Sequence[Addition]
) -> tuple[tuple[Wheel, ...], dict[VariantName, tuple[Wheel, ...]]]:
    """The wheels of the final image, and those of each variant by its name."""
    stages = {each.name: {source.stage for source in each.sources} for each in additions}
    further = {name for names in stages.values() for name in names}
    own = tuple(wheel for wheel in wheels if wheel.name not in further)
    return own, {
        name: tuple(wheel for wheel in wheels if wheel.name in names)
        for name, names in stages.items()
    }


def with_additions(contents: Contents, additions: Sequence[Addition]) -> Contents:
    """The contents of all images of the Dockerfile: theirs come first, the application last."""
    sources = {source.stage: source for each in additions for source in each.sources}
    known: set[Any] = {source.stage for source in contents.sources}
    further = [source for stage, source in sources.items() if stage not in known]
    return replace(
        contents,
        layers=(*contents.layers, *(layer for each in additions for layer in each.layers)),
        sources=(*further, *contents.sources),
    )
