"""What a project's root is: a package that a wheel can be built from, or a tree of source files.

For poetry-core its own builder says what a wheel is made of, from 2.0 on in the same words.
"""

from __future__ import annotations

import configparser
import posixpath
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from poetry.core.masonry.builders.sdist import SdistBuilder
from poetry.core.masonry.builders.wheel import WheelBuilder
from poetry.core.masonry.utils.module import ModuleOrPackageNotFoundError
from poetry.core.masonry.utils.package_include import PackageInclude
from poetry.core.utils.helpers import module_name

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.ignore import is_kept_out
from poetry_docker_cache.ignore.git import git_ignored
from poetry_docker_cache.root import conventions
from poetry_docker_cache.root.paths import (
    copied,
    folders,
    is_here,
    is_inside,
    outermost,
    relative,
    static_part,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from poetry.core.masonry.builders.builder import Builder
    from poetry.core.masonry.utils.include import Include
    from poetry.poetry import Poetry

POETRY_CORE = "poetry.core.masonry.api"
_POETRY_BACKENDS = (POETRY_CORE, "poetry.masonry.api", "poetry_dynamic_versioning.backend")

# What a running application reads from its working directory.
_BESIDE_FILES = ("alembic.ini", "app.py", "asgi.py", "gunicorn.conf.py", "main.py", "wsgi.py")
_BESIDE_FOLDERS = ("migrations", "static", "templates")


@dataclass(frozen=True, kw_only=True)
class WheelRoot:
    """A root that is a package."""

    paths: tuple[str, ...]
    """What the wheel is made of, beside pyproject.toml: sorted, no path inside another."""
    requires: tuple[str, ...]
    backend: str
    """The hooks to call, where pyproject.toml names none Poetry's own."""
    needs_compiler: bool
    module: str | None
    """`python -m` runs this."""
    backend_path: tuple[str, ...] = ()
    """Folders of an in-tree backend."""
    git_ignored: tuple[str, ...] = ()
    """Lines for the ignore file: what git ignores within the paths is not part of the wheel."""


@dataclass(frozen=True, kw_only=True)
class SourceTreeRoot:
    """A root that no wheel can be built from."""

    reason: str


class _NoWheelError(Exception):
    """Why there is no wheel."""


def read_root(poetry: Poetry) -> WheelRoot | SourceTreeRoot:
    """Tell what the project's root is. A root that cannot be built is no error.

    Raises DockerCacheError for a `build-system` that is no table.
    """
    folder = poetry.file.path.resolve().parent
    if not poetry.is_package_mode:
        return SourceTreeRoot(reason="package-mode = false")
    build_system = poetry.pyproject.data.get("build-system", {})
    if not isinstance(build_system, dict):
        raise DockerCacheError(
            "`build-system` in pyproject.toml is not a table: nothing can build the project.",
            fix="See `poetry check`, or leave it out: poetry-core is the default.",
        )
    try:
        if build_system.get("build-backend", POETRY_CORE) in _POETRY_BACKENDS:
            return _read_poetry_core(poetry, folder, build_system)
        return _read_other(poetry, folder, build_system)
    except _NoWheelError as error:
        return SourceTreeRoot(reason=str(error))
    except Exception as error:  # noqa: BLE001  # whatever stops the builder here stops it there
        return SourceTreeRoot(reason=_portable(str(error) or type(error).__name__, poetry, folder))


def runtime_files(folder: Path, root: WheelRoot | SourceTreeRoot) -> tuple[str, ...] | None:
    """Name what a running app needs beside its package; None is the whole source tree."""
    if isinstance(root, SourceTreeRoot) or (folder / "manage.py").is_file():
        return None
    found = [name for name in _BESIDE_FILES if (folder / name).is_file()]
    found += [name for name in _BESIDE_FOLDERS if (folder / name).is_dir()]
    found = [name for name in found if not is_inside(name, root.paths)]
    if "alembic.ini" in found and (scripts := _alembic_scripts(folder)):
        found.append(scripts)
    return outermost(name for name in found if is_here(folder, name))


def _read_poetry_core(poetry: Poetry, folder: Path, build_system: Mapping[str, Any]) -> WheelRoot:
    package = poetry.package
    _check_declared(poetry, folder)
    builder = WheelBuilder(poetry)
    try:
        module = builder._module  # noqa: SLF001  # what poetry-core itself walks
    except ModuleOrPackageNotFoundError as error:
        name = module_name(package.name)
        raise _NoWheelError(f"no module or package of the name `{name}`") from error
    paths = [*_readmes(poetry), *_declared_license(poetry)]
    builders: list[Builder] = [builder]
    if script := package.build_script:
        if not (folder / script).is_file():
            raise _NoWheelError(f"the build script `{script}` does not exist")
        paths += [script, *(["setup.py"] if package.build_should_generate_setup() else [])]
        builders.append(SdistBuilder(poetry))  # sources of extensions are often in the sdist only
    for each in builders:
        for include in each._module.includes:  # noqa: SLF001
            paths += _include_paths(include, Path(each._path))  # noqa: SLF001
    base = Path(builder._path)  # noqa: SLF001
    paths += [relative(base, path) for path in builder._get_legal_files()]  # noqa: SLF001
    paths += [relative(base, path) for path in builder.convert_script_files()]
    paths += build_system.get("backend-path", [])
    checked = copied(folder, paths)
    named = [_pattern(include) for include in module.explicit_includes]
    return WheelRoot(
        paths=checked,
        requires=_requires(build_system, "poetry-core"),
        backend=str(build_system.get("build-backend", POETRY_CORE)),
        backend_path=tuple(map(str, build_system.get("backend-path", ()))),
        needs_compiler=package.build_script is not None,
        module=_main_module(folder, _modules(module.includes, base), module_name(package.name)),
        git_ignored=git_ignored(folder, folders(folder, checked), included=named, ask_git=True),
    )


def _read_other(poetry: Poetry, folder: Path, build_system: Mapping[str, Any]) -> WheelRoot:
    name = module_name(poetry.package.name)
    backend = str(build_system["build-backend"])
    requires = _requires(build_system, "setuptools")
    _check_declared(poetry, folder)
    project = conventions.Project(
        folder=folder, data=poetry.pyproject.data, backend=backend, module=name
    )
    packages = project.packages()
    if not packages and not project.native():
        raise _NoWheelError(f"no module or package of the name `{name}`, nor another one")
    others = [*_readmes(poetry), *_declared_license(poetry), *project.files()]
    paths = copied(folder, [*packages, *others, *build_system.get("backend-path", [])])
    hatch = backend.startswith("hatchling")
    inside = folders(folder, paths) if hatch else ()
    modules = [(re.sub("^src/", "", it).replace("/", "."), it) for it in project.importable()]
    return WheelRoot(
        paths=paths,
        requires=requires,
        backend=backend,
        backend_path=tuple(map(str, build_system.get("backend-path", ()))),
        needs_compiler=project.needs_compiler(requires),
        module=_main_module(folder, modules, name),
        git_ignored=git_ignored(folder, inside, included=project.artifacts(), ask_git=False),
    )


def _requires(build_system: Mapping[str, Any], default: str) -> tuple[str, ...]:
    return tuple(str(it) for it in build_system.get("requires", [default]))


def _check_declared(poetry: Poetry, folder: Path) -> None:
    """Look for what is usually wrong, in words that are shorter than the builder's."""
    for readme in _readmes(poetry):
        if not is_here(folder, readme):
            raise _NoWheelError(f"the README `{readme}` is outside of the project")
        if not (folder / readme).is_file():
            raise _NoWheelError(f"the README `{readme}` does not exist")
    for item in poetry.package.packages:
        place = posixpath.join(item.get("from") or ".", item["include"])
        if "wheel" in item.get("format", "wheel") and not is_here(folder, static_part(place)):
            raise _NoWheelError(f"packages from outside the project (`{place}`)")


def _readmes(poetry: Poetry) -> list[str]:
    root = poetry.package.root_dir
    return [relative(root, readme) for readme in poetry.package.readmes] if root else []


def _declared_license(poetry: Poetry) -> list[str]:
    value = poetry.pyproject.data.get("project", {}).get("license")
    return [str(value["file"])] if isinstance(value, dict) and "file" in value else []


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


def _modules(includes: Iterable[Include], root: Path) -> Iterator[tuple[str, str]]:
    """Give each package's import name and place."""
    for include in includes:
        if isinstance(include, PackageInclude):
            inner = static_part(posixpath.normpath(include._include))  # noqa: SLF001
            name = posixpath.normpath(posixpath.join(include.target or ".", inner))
            place = posixpath.normpath(posixpath.join(relative(root, include.base), inner))
            yield name.removesuffix(".py").replace("/", "."), place


def _main_module(folder: Path, modules: Iterable[tuple[str, str]], own: str) -> str | None:
    found = {name for name, place in modules if _runs(folder / place)} - {"."}
    return own if own in found else found.pop() if len(found) == 1 else None


def _runs(path: Path) -> bool:
    if path.suffix == ".py" and path.is_file():
        text = path.read_text(encoding="utf-8", errors="replace")
        return re.search(r"^if __name__ == ['\"]__main__['\"]", text, re.MULTILINE) is not None
    return (path / "__main__.py").is_file()


def _alembic_scripts(folder: Path) -> str | None:
    """Find the folder of alembic's migrations, where it is one of the project's."""
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read(folder / "alembic.ini", encoding="utf-8")
        value = parser.get("alembic", "script_location")
    except (configparser.Error, UnicodeDecodeError):
        return None
    name = posixpath.normpath(value.strip().replace("%(here)s/", ""))
    return name if name != "." and is_here(folder, name) and (folder / name).is_dir() else None


def _portable(text: str, poetry: Poetry, folder: Path) -> str:
    """Take this machine's paths out of a message."""
    for root in (folder, poetry.file.path.parent.absolute()):
        text = text.replace(f"{root.as_posix()}/", "")
    return " ".join(text.split())
