"""How a project runs: the module to call, and the files that it reads beside its package."""

from __future__ import annotations

import configparser
import posixpath
import re
from typing import TYPE_CHECKING

from poetry_docker_cache.ignore.rules import is_inside, outermost
from poetry_docker_cache.root.kinds import SourceTreeRoot, WheelRoot
from poetry_docker_cache.root.paths import is_file, is_here, text_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

# What a running application reads from its working directory.
_STARTED = ("main.py", "app.py", "run.py", "server.py", "bot.py", "streamlit_app.py")
_BESIDE_FILES = ("alembic.ini", "asgi.py", "gunicorn.conf.py", "wsgi.py", *_STARTED)
_BESIDE_FOLDERS = ("migrations", "static", "templates")
NO_APPLICATIONS = {"docs", "examples", "migrations", "scripts", "test", "tests"}
"""Folders that nothing is started from."""


def main_module(folder: Path, modules: Iterable[tuple[str, str]], own: str) -> str | None:
    """Name what `python -m` runs, of packages by name and place: the own one, or the only one."""
    found = {name for name, place in modules if _runs(folder / place)} - {"."}
    return own if own in found else found.pop() if len(found) == 1 else None


def tree_module(folder: Path, packages_in: str | None, own: str) -> str | None:
    """Name it for a source tree: of the packages at the top, and of those in that folder."""
    tops = [folder, *([folder / packages_in] if packages_in else [])]
    names = [
        (path.name, path.relative_to(folder).as_posix())
        for top in tops
        for path in sorted(top.iterdir())
        if path.name.isidentifier() and path.name not in NO_APPLICATIONS
    ]
    return main_module(folder, names, own)


def _runs(path: Path) -> bool:
    if path.suffix == ".py":
        starts = re.search(r"^if __name__ == ['\"]__main__['\"]", text_of(path), re.MULTILINE)
        return starts is not None
    return is_file(path / "__main__.py")


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


def import_folder(folder: Path) -> str | None:
    """Name the folder that a src layout keeps its packages in."""
    is_layout = (folder / "src").is_dir() and not (folder / "src" / "__init__.py").exists()
    return "src" if is_layout else None


def start_commands(folder: Path) -> tuple[tuple[str, ...], ...]:
    """Name the files that may start an application, the likeliest first; a person is to choose."""
    names = (name for name in _STARTED if (folder / name).is_file())
    return tuple((*_program(folder / name), name) for name in names)


def _program(path: Path) -> tuple[str, ...]:
    serves = re.search(r"^(?:import|from) streamlit\b", text_of(path), re.MULTILINE)
    return ("streamlit", "run") if serves else ("python",)


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
