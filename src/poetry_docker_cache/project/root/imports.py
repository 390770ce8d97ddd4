"""Modules that the project's code imports although its wheel does not contain them.

`poetry install` puts the folder of the packages on the path, so code may import other modules from
there, such as a `config.py` at the top. The image needs them, too.
"""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from poetry_docker_cache.docker.ignore_patterns import is_inside
from poetry_docker_cache.docker.kept_out import is_kept_out
from poetry_docker_cache.project.model import SourceTreeRoot, WheelRoot
from poetry_docker_cache.project.root.declared import is_here, relative, text_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from pathlib import Path

_TESTS = {"conftest", "test", "tests"}
_IMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+(\w+)[\w.]*[ \t]+import\b|import[ \t]+(\w[\w., \t]*))", re.MULTILINE
)


@dataclass(frozen=True, kw_only=True)
class Unpackaged:
    """The modules that the code imports but the wheel does not contain, and the commands."""

    scripts: tuple[str, ...]
    """The names of the application's own commands."""
    modules: tuple[str, ...]
    """The files and folders that are imported but not in the wheel."""
    whole: bool = False
    """Whether all commands are in such modules, so that the application runs from source."""


def find_unpackaged(
    folder: Path,
    root: WheelRoot | SourceTreeRoot,
    *,
    files: Collection[str],
    scripts: Mapping[str, str],
    installed: Collection[str],
) -> Unpackaged:
    """Follow the imports from what the wheel is made of, and from the `files` beside it.

    `scripts` maps the project's commands to their modules, `installed` are the names of its
    dependencies. A command in a module that the wheel does not have is a development tool, unless
    there is no other command.
    """
    if isinstance(root, SourceTreeRoot) or root.whole:
        return Unpackaged(scripts=tuple(sorted(scripts)), modules=())
    on_path = {*root.import_folders}
    if any(path.endswith(".py") and "/" not in path for path in files):
        on_path.add(".")  # Python puts the folder of the file that it starts on the path
    lacking = dict(_lacking(folder, root, sorted(on_path), installed))
    # `poetry run` also finds modules in the project's folder.
    tools = {*lacking, *dict(_lacking(folder, root, ["."], installed)), *_TESTS}
    tops = {name: module.split(".")[0] for name, module in scripts.items()}
    own = [name for name, top in tops.items() if top not in tools] or [*tops]
    taken = {tops[name] for name in own} & lacking.keys()
    places = [*root.paths, *files, *(lacking[name] for name in taken)] if lacking else []
    while places:
        found = {name for place in places for name in _imported(folder, place)}
        new = found & lacking.keys() - taken
        taken |= new
        places = [lacking[name] for name in new]
    return Unpackaged(
        scripts=tuple(sorted(own)),
        modules=tuple(sorted(lacking[name] for name in taken)),
        whole=bool(own) and all(tops[name] in lacking for name in own),
    )


def imported_modules(
    folder: Path, root: WheelRoot | SourceTreeRoot, files: Collection[str] | None
) -> frozenset[str]:
    """List the top-level modules that the image's own code imports."""
    places = [] if files is None or isinstance(root, SourceTreeRoot) else [*root.paths, *files]
    return frozenset(name for place in places or ["."] for name in _imported(folder, place))


def _lacking(
    folder: Path, root: WheelRoot, on_path: Iterable[str], installed: Collection[str]
) -> Iterator[tuple[str, str]]:
    """Yield name and path of the modules in these folders that the wheel does not have."""
    elsewhere = {*sys.stdlib_module_names, *_TESTS}
    for place in on_path:
        for child in sorted((folder / place).iterdir()):
            path = relative(folder, child)
            name = child.name.removesuffix(".py")
            if (
                name.isidentifier()
                and name not in elsewhere
                and canonicalize_name(name) not in installed
                and not is_kept_out(path)
                and not is_inside(path, root.paths)
                and not any(is_inside(taken, [path]) for taken in root.paths)
                and (child.suffix == ".py" or _has_code(child))
                and is_here(folder, path)
            ):
                yield name, path


def _has_code(folder: Path) -> bool:
    return any(any(folder.glob(pattern)) for pattern in ("*.py", "*/*.py"))


def _imported(folder: Path, place: str) -> Iterator[str]:
    """Yield the modules that the code of a path imports, without its tests."""
    for file in _code(folder / place):
        for module, modules in _IMPORT.findall(text_of(file)):
            names = modules.split(",") if modules else [module]
            yield from (re.split(r"[\s.]", name.strip(), maxsplit=1)[0] for name in names)


def _code(top: Path) -> Iterator[Path]:
    if top.suffix == ".py":
        yield top
    for here, folders, names in os.walk(top):
        folders[:] = [name for name in folders if name not in _TESTS and not is_kept_out(name)]
        files = (top / here / name for name in names)
        yield from (file for file in files if file.suffix == ".py" and file.stem not in _TESTS)
