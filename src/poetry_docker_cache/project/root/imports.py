"""Modules of a project that its wheel lacks, and that its code imports all the same.

`poetry install` puts the folder of the packages on the path, so an application may import more of
it than a wheel holds: a `config.py` at the top, say. Its image needs them, too.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from poetry_docker_cache.docker.ignore_patterns import is_inside
from poetry_docker_cache.docker.kept_out import is_kept_out
from poetry_docker_cache.project.model import SourceTreeRoot, WheelRoot
from poetry_docker_cache.project.root.declared import is_here, relative

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from pathlib import Path

_TESTS = {"conftest", "test", "tests"}
_IMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+(\w+)[\w.]*[ \t]+import\b|import[ \t]+(\w[\w., \t]*))", re.MULTILINE
)


@dataclass(frozen=True, kw_only=True)
class Beside:
    """What was found when the imports of the code were followed."""

    scripts: tuple[str, ...]
    """The names of the application's own commands."""
    modules: tuple[str, ...]
    """The files and folders that are imported, and no part of the wheel."""
    whole: bool = False
    """Whether the commands are all of such modules: what runs is the source tree."""


def find_beside(
    folder: Path,
    root: WheelRoot | SourceTreeRoot,
    *,
    files: Collection[str],
    scripts: Mapping[str, str],
    installed: Collection[str],
) -> Beside:
    """Follow the imports from what the wheel is made of, and from the `files` beside it.

    `scripts` are the modules of the project's commands by their names, `installed` the names of its
    dependencies. A command of a module that the wheel lacks is a tool of those who work on the
    project, unless there is no other.
    """
    if isinstance(root, SourceTreeRoot) or root.whole:
        return Beside(scripts=tuple(sorted(scripts)), modules=())
    on_path = {*root.import_folders}
    if any(path.endswith(".py") and "/" not in path for path in files):
        on_path.add(".")  # where Python starts a file, its folder is
    lacking = dict(_lacking(folder, root, sorted(on_path), installed))
    # `poetry run` finds a command where it is started, too.
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
    return Beside(
        scripts=tuple(sorted(own)),
        modules=tuple(sorted(lacking[name] for name in taken)),
        whole=bool(own) and all(tops[name] in lacking for name in own),
    )


def _lacking(
    folder: Path, root: WheelRoot, on_path: Iterable[str], installed: Collection[str]
) -> Iterator[tuple[str, str]]:
    """Give the modules in these folders that the wheel has no part of: name and path."""
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
                and not any(is_inside(it, [path]) for it in root.paths)
                and (child.suffix == ".py" or _has_code(child))
                and is_here(folder, path)
            ):
                yield name, path


def _has_code(folder: Path) -> bool:
    return any(it for glob in ("*.py", "*/*.py") for it in folder.glob(glob))


def _imported(folder: Path, place: str) -> Iterator[str]:
    """Name what the code of a path imports, that of tests left out."""
    for file in _code(folder / place):
        text = ""
        with contextlib.suppress(OSError):  # some may not be read
            text = file.read_text(encoding="utf-8", errors="replace")
        for module, modules in _IMPORT.findall(text):
            names = modules.split(",") if modules else [module]
            yield from (re.split(r"[\s.]", it.strip(), maxsplit=1)[0] for it in names)


def _code(top: Path) -> Iterator[Path]:
    if top.suffix == ".py":
        yield top
    for here, folders, names in os.walk(top):
        folders[:] = [it for it in folders if it not in _TESTS and not is_kept_out(it)]
        yield from (top / here / it for it in names if it.endswith(".py") and it[:-3] not in _TESTS)
