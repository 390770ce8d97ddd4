"""The root package of a project that poetry-core builds: its builder lists the files."""

from __future__ import annotations

import posixpath
import re
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from poetry.core.masonry.builders.sdist import SdistBuilder
from poetry.core.masonry.builders.wheel import WheelBuilder
from poetry.core.masonry.utils.module import ModuleOrPackageNotFoundError
from poetry.core.masonry.utils.package_include import PackageInclude
from poetry.core.utils.helpers import module_name

from poetry_docker_cache.docker.ignore_patterns import moved
from poetry_docker_cache.docker.kept_out import is_kept_out
from poetry_docker_cache.project.git import git_ignored
from poetry_docker_cache.project.model import WheelRoot
from poetry_docker_cache.project.root.declared import (
    NoWheelError,
    check_declared,
    check_from,
    copied,
    copied_from_above,
    declared_license,
    folders,
    is_here,
    leaves,
    main_module,
    names_licenses,
    readmes,
    relative,
    requires_of,
    static_part,
)
from poetry_docker_cache.project.root.rust import build_folders, cargo_paths

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from poetry.core.masonry.builders.builder import Builder
    from poetry.core.masonry.utils.include import Include
    from poetry.core.masonry.utils.module import Module
    from poetry.core.poetry import Poetry

POETRY_CORE = "poetry.core.masonry.api"
BACKENDS = (POETRY_CORE, "poetry.masonry.api", "poetry_dynamic_versioning.backend")


def read_poetry_core(poetry: Poetry, folder: Path, build_system: Mapping[str, Any]) -> WheelRoot:
    """Get the files from poetry-core's builder. Raises NoWheelError or the builder's exceptions."""
    check_declared(poetry, folder, from_above=True)
    builder = WheelBuilder(poetry)
    module = _module(builder, poetry)
    inside, outside = _sources(builder, poetry, folder)
    checked = copied(folder, [*inside, *build_system.get("backend-path", [])])
    above = copied_from_above(folder, outside)
    if above:
        check_from(poetry)
    base = Path(builder._path)  # noqa: SLF001  # there is no public name
    modules = [*_modules(module.includes, base)]
    named = [_pattern(include) for include in module.explicit_includes]
    ignored = git_ignored(folder, folders(folder, checked), included=named, ask_git=True)
    package = poetry.package
    return WheelRoot(
        paths=(*above, *checked),
        requires=requires_of(build_system, "poetry-core"),
        backend=str(build_system.get("build-backend", POETRY_CORE)),
        backend_path=tuple(map(str, build_system.get("backend-path", ()))),
        needs_compiler=package.build_script is not None,
        module=main_module(folder, modules, module_name(package.name)),
        packages_above=tuple((name, place) for name, place in modules if leaves(place)),
        import_folders=_import_folders(module.includes, base),
        git_ignored=(
            *(*ignored, *_git_ignored_above(folder, folders(folder, above))),
            *build_folders(checked, folder),
        ),
        modules=_top_modules([*(name for name, _ in modules), *named]),
    )


def _module(builder: Builder, poetry: Poetry) -> Module:
    """Return the module whose files poetry-core collects. Raises NoWheelError without one."""
    try:
        return builder._module  # noqa: SLF001
    except ModuleOrPackageNotFoundError as error:
        unnamed = f"no module or package named `{module_name(poetry.package.name)}`"
        declared = poetry.package.packages
        reason = "`packages` has no entry for the wheel" if declared else unnamed
        raise NoWheelError(reason) from error


def _sources(builder: WheelBuilder, poetry: Poetry, folder: Path) -> tuple[list[str], list[str]]:
    """List what the wheel is made of, in the project and outside it.

    Raises NoWheelError for a missing build script.
    """
    package = poetry.package
    base = Path(builder._path)  # noqa: SLF001
    declared = readmes(poetry)
    inside = [path for path in declared if not leaves(path)] + declared_license(poetry)
    builders: list[Builder] = [builder]
    if script := package.build_script:
        if not (folder / script).is_file():
            raise NoWheelError(f"the build script `{script}` does not exist")
        inside += [script, *(["setup.py"] if package.build_should_generate_setup() else [])]
        inside += cargo_paths(folder)
        builders.append(SdistBuilder(poetry))  # sources of extensions are often in the sdist only
    outside = [path for path in declared if leaves(path)]
    for include in chain.from_iterable(each._module.includes for each in builders):  # noqa: SLF001
        found = [*_include_paths(include, base)]
        if isinstance(include, PackageInclude):
            outside += [path for path in found if leaves(path)]
        inside += [path for path in found if path not in outside]
    legal = [relative(base, path) for path in builder._get_legal_files()]  # noqa: SLF001
    inside += legal if names_licenses(poetry) else [path for path in legal if is_here(folder, path)]
    inside += [relative(base, path) for path in builder.convert_script_files()]
    return inside, outside


def _git_ignored_above(folder: Path, paths: Iterable[str]) -> Iterator[str]:
    """Return the lines for folders outside the project, relative to the project."""
    for path in paths:
        place, name = posixpath.split(path)
        lines = git_ignored((folder / place).resolve(), [name], included=(), ask_git=True)
        yield from (moved(line, place) for line in lines)


def _include_paths(include: Include, root: Path) -> Iterator[str]:
    """List what to copy for one entry: the folder before a wildcard, not its present files."""
    pattern = _pattern(include, root)
    static = static_part(pattern)
    if static != ".":
        yield static
        return
    for element in include.elements:  # a wildcard at the start: take the top-level names that match
        name = relative(root, element).split("/")[0]
        if not is_kept_out(name):
            yield name


def _pattern(include: Include, root: Path | None = None) -> str:
    base = relative(root, include.base) if root else "."
    return posixpath.normpath(posixpath.join(base, include._include))  # noqa: SLF001


def _import_folders(includes: Iterable[Include], root: Path) -> tuple[str, ...]:
    """List the folders that packages are in, except those outside the project."""
    places = {
        relative(root, include.base) for include in includes if isinstance(include, PackageInclude)
    }
    return tuple(sorted(place for place in places if not leaves(place)))


def _top_modules(names: Iterable[str]) -> tuple[str, ...] | None:
    """Return the first parts of names and paths; None if one is a pattern for all."""
    tops = {re.split(r"[./]", static_part(name))[0] for name in names}
    return None if "" in tops else tuple(sorted(tops))


def _modules(includes: Iterable[Include], root: Path) -> Iterator[tuple[str, str]]:
    """Yield the import name and path of each package."""
    for include in includes:
        if isinstance(include, PackageInclude):
            inner = static_part(posixpath.normpath(include._include))  # noqa: SLF001
            name = posixpath.normpath(posixpath.join(include.target or ".", inner))
            place = posixpath.normpath(posixpath.join(relative(root, include.base), inner))
            yield name.removesuffix(".py").replace("/", "."), place
