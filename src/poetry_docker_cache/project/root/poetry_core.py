"""What a wheel is made of when poetry-core builds it.

Its own builder says that, from 2.0 on in the same words.
"""

from __future__ import annotations

import posixpath
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
from poetry_docker_cache.project.root.applications import main_module
from poetry_docker_cache.project.root.declared import (
    check_declared,
    check_from,
    copied,
    copied_from_above,
    declared_license,
    folders,
    is_here,
    leaves,
    names_licenses,
    readmes,
    relative,
    requires_of,
    static_part,
)
from poetry_docker_cache.project.root.no_wheel import NoWheelError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from poetry.core.masonry.builders.builder import Builder
    from poetry.core.masonry.utils.include import Include
    from poetry.core.masonry.utils.module import Module
    from poetry.core.poetry import Poetry

POETRY_CORE = "poetry.core.masonry.api"
BACKENDS = (POETRY_CORE, "poetry.masonry.api", "poetry_dynamic_versioning.backend")


def read_poetry_core(poetry: Poetry, folder: Path, build_system: Mapping[str, Any]) -> WheelRoot:
    """Ask the builder. Raises NoWheelError, and whatever the builder does."""
    check_declared(poetry, folder, from_above=True)
    builder = WheelBuilder(poetry)
    module = _module(builder, poetry)
    inside, outside = _sources(builder, poetry, folder)
    checked = copied(folder, [*inside, *build_system.get("backend-path", [])])
    above = copied_from_above(folder, outside)
    if above:
        check_from(poetry)
    base = Path(builder._path)  # noqa: SLF001  # as below
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
        packages_above=tuple(it for it in modules if leaves(it[1])),
        import_folders=_import_folders(module.includes, base),
        git_ignored=(*ignored, *_git_ignored_above(folder, folders(folder, above))),
    )


def _module(builder: Builder, poetry: Poetry) -> Module:
    """Give what poetry-core walks itself. Raises NoWheelError where there is nothing."""
    try:
        return builder._module  # noqa: SLF001  # it has no public name for it
    except ModuleOrPackageNotFoundError as error:
        name = f"no module or package of the name `{module_name(poetry.package.name)}`"
        none = "`packages` has none for the wheel" if poetry.package.packages else name
        raise NoWheelError(none) from error


def _sources(builder: WheelBuilder, poetry: Poetry, folder: Path) -> tuple[list[str], list[str]]:
    """Name what the wheel is made of: in the project, and outside of it.

    Raises NoWheelError for a build script that is not there.
    """
    package = poetry.package
    base = Path(builder._path)  # noqa: SLF001  # as above
    inside = [*readmes(poetry), *declared_license(poetry)]
    builders: list[Builder] = [builder]
    if script := package.build_script:
        if not (folder / script).is_file():
            raise NoWheelError(f"the build script `{script}` does not exist")
        inside += [script, *(["setup.py"] if package.build_should_generate_setup() else [])]
        builders.append(SdistBuilder(poetry))  # sources of extensions are often in the sdist only
    outside: list[str] = []
    for include in (it for each in builders for it in each._module.includes):  # noqa: SLF001
        found = [*_include_paths(include, base)]
        if isinstance(include, PackageInclude):
            outside += [path for path in found if leaves(path)]
        inside += [path for path in found if path not in outside]
    legal = [relative(base, path) for path in builder._get_legal_files()]  # noqa: SLF001  # as above
    inside += legal if names_licenses(poetry) else [it for it in legal if is_here(folder, it)]
    inside += [relative(base, path) for path in builder.convert_script_files()]
    return inside, outside


def _git_ignored_above(folder: Path, paths: Iterable[str]) -> Iterator[str]:
    """Give the lines for folders that lie outside of the project, as seen from it."""
    for path in paths:
        place, name = posixpath.split(path)
        lines = git_ignored((folder / place).resolve(), [name], included=(), ask_git=True)
        yield from (moved(line, place) for line in lines)


def _include_paths(include: Include, root: Path) -> Iterator[str]:
    """Name what to copy for one entry: the folder before a wildcard, not the files of today."""
    pattern = _pattern(include, root)
    static = static_part(pattern)
    if static != ".":
        yield static
        return
    for element in include.elements:  # a wildcard at the very start: what it finds at the top
        name = relative(root, element).split("/")[0]
        if not is_kept_out(name):
            yield name


def _pattern(include: Include, root: Path | None = None) -> str:
    base = relative(root, include.base) if root else "."
    return posixpath.normpath(posixpath.join(base, include._include))  # noqa: SLF001


def _import_folders(includes: Iterable[Include], root: Path) -> tuple[str, ...]:
    """Name the folders that the packages lie in, but for those outside of the project."""
    places = {relative(root, it.base) for it in includes if isinstance(it, PackageInclude)}
    return tuple(sorted(place for place in places if not leaves(place)))


def _modules(includes: Iterable[Include], root: Path) -> Iterator[tuple[str, str]]:
    """Give each package's import name and place."""
    for include in includes:
        if isinstance(include, PackageInclude):
            inner = static_part(posixpath.normpath(include._include))  # noqa: SLF001
            name = posixpath.normpath(posixpath.join(include.target or ".", inner))
            place = posixpath.normpath(posixpath.join(relative(root, include.base), inner))
            yield name.removesuffix(".py").replace("/", "."), place
