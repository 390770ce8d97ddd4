"""Finds what can be started: modules and the applications of web and worker frameworks."""

from __future__ import annotations

import configparser
import contextlib
import posixpath
import re
from typing import TYPE_CHECKING

from poetry_docker_cache.docker.ignore_patterns import is_inside, outermost
from poetry_docker_cache.docker.kept_out import is_kept_out
from poetry_docker_cache.project.model import App, AppKind, SourceTreeRoot, WheelRoot
from poetry_docker_cache.project.root.declared import is_here, main_module, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

# Names that a running application usually reads from its working directory.
_STARTED = ("main.py", "app.py", "run.py", "server.py", "bot.py", "streamlit_app.py")
_BESIDE_FILES = ("alembic.ini", "asgi.py", "gunicorn.conf.py", "wsgi.py", *_STARTED)
_BESIDE_FOLDERS = ("migrations", "static", "templates")
NO_APPLICATIONS = {"docs", "examples", "migrations", "scripts", "test", "tests"}
"""Folders without applications."""


def tree_module(folder: Path, packages_in: str | None, own: str) -> str | None:
    """Return the module for `python -m` in a source tree: at its top or in `packages_in`."""
    tops = [folder, *([folder / packages_in] if packages_in else [])]
    names = [
        (path.name, path.relative_to(folder).as_posix())
        for top in tops
        for path in sorted(top.iterdir())
        if path.name.isidentifier() and path.name not in NO_APPLICATIONS
    ]
    return main_module(folder, names, own)


def runtime_files(folder: Path, root: WheelRoot | SourceTreeRoot) -> tuple[str, ...] | None:
    """List what a running app needs beside its package; None is the whole source tree."""
    if isinstance(root, SourceTreeRoot) or (folder / "manage.py").is_file():
        return None
    found = [name for name in _BESIDE_FILES if (folder / name).is_file()]
    found += [name for name in _BESIDE_FOLDERS if (folder / name).is_dir()]
    found = [name for name in found if not is_inside(name, root.paths)]
    if "alembic.ini" in found and (scripts := _alembic_scripts(folder)):
        found.append(scripts)
    return outermost(name for name in found if is_here(folder, name))


def import_folder(folder: Path) -> str | None:
    """Return the folder of the packages in a src layout."""
    is_layout = (folder / "src").is_dir() and not (folder / "src" / "__init__.py").exists()
    return "src" if is_layout else None


def start_commands(folder: Path) -> tuple[tuple[str, ...], ...]:
    """List possible start commands for a person to choose from, the most likely first."""
    names = (name for name in _STARTED if (folder / name).is_file())
    return tuple((*_program(folder / name), name) for name in names)


def _program(path: Path) -> tuple[str, ...]:
    serves = re.search(r"^(?:import|from) streamlit\b", text_of(path), re.MULTILINE)
    return ("streamlit", "run") if serves else ("python",)


def _alembic_scripts(folder: Path) -> str | None:
    """Find the folder of alembic's migrations, if it is in the project."""
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read(folder / "alembic.ini", encoding="utf-8")
        value = parser.get("alembic", "script_location")
    except (configparser.Error, UnicodeDecodeError):
        return None
    name = posixpath.normpath(value.strip().replace("%(here)s/", ""))
    return name if name != "." and is_here(folder, name) and (folder / name).is_dir() else None


_WEB_MODULES = ("wsgi", "asgi", "main", "app", "api", "server", "application", "core", "__init__")
_MODULES = (*_WEB_MODULES, "celery", "celery_app", "worker", "tasks")
_FRAMEWORKS: dict[str, AppKind] = {
    "FastAPI": "asgi",
    "Litestar": "asgi",
    "Quart": "asgi",
    "Starlette": "asgi",
    "get_asgi_application": "asgi",
    "Bottle": "wsgi",
    "Flask": "wsgi",
    "get_wsgi_application": "wsgi",
    "Celery": "celery",
}
# Matches only at the start of a word: trying each letter of a long word is slow.
_MAKING = rf"(?<![\w.])(?:\w+\.)*({'|'.join(_FRAMEWORKS)})\("
_MADE = re.compile(rf"^(\w+)(?:[ \t]*:[^=\n]+)?[ \t]*=[ \t]*{_MAKING}", re.MULTILINE)
_USUAL = ("app", "application")
_NAMED = re.compile(r"^(application|app)[ \t]*=", re.MULTILINE)
_CALLED = re.compile(
    r"^(application|app)(?:[ \t]*:[^=\n]+)?[ \t]*=[ \t]*"
    r"(?:\w+\.)*(?:build|create|get|init|make|setup)_\w+\(",
    re.MULTILINE,
)
_FACTORY = re.compile(r"^def ((?:create|make|get)_app(?:lication)?)\(([^()]*)\)", re.MULTILINE)
_ARQ = re.compile(r"^class (WorkerSettings)\b", re.MULTILINE)


def find_apps(
    folder: Path, root: WheelRoot | SourceTreeRoot, files: Sequence[str] | None
) -> tuple[App, ...]:
    """List the applications in the image, the most likely first; `files` is `runtime_files`."""
    kept = None if files is None or isinstance(root, SourceTreeRoot) else [*root.paths, *files]
    found: list[App] = []
    for path, module in _modules(folder, root):
        if kept is None or is_inside(path.relative_to(folder).as_posix(), kept):
            found += _apps(text_of(path), path.stem, module)
    return tuple(found)


def _modules(folder: Path, root: WheelRoot | SourceTreeRoot) -> Iterator[tuple[Path, str]]:
    """Yield the usual files and their import names: at the top, in src, and two packages deep."""
    above: list[tuple[Path, str]] = []
    if isinstance(root, SourceTreeRoot):
        on_path = [root.import_folder or "."]
    else:
        on_path = [*root.import_folders] or [import_folder(folder) or "."]
        above = [(folder / place, name) for name, place in root.packages_above]
    tops = [*dict.fromkeys((folder, *(folder / name for name in on_path)))]
    here = [(path, path.name) for top in tops for path in _packages(top) if path not in tops]
    outer = [*above, *here]
    inner = [(path, f"{name}.{path.name}") for place, name in outer for path in _packages(place)]
    for place, package in [*((top, "") for top in tops), *outer, *inner]:
        for stem in _MODULES:
            parts = [package, "" if stem == "__init__" else stem]
            if any(parts):
                yield place / f"{stem}.py", ".".join(filter(None, parts))


def _packages(folder: Path) -> list[Path]:
    found: list[Path] = []
    with contextlib.suppress(OSError):
        found = [path for path in folder.iterdir() if path.name.isidentifier() and path.is_dir()]
    return sorted(
        path for path in found if path.name not in NO_APPLICATIONS and not is_kept_out(path.name)
    )


def _apps(text: str, stem: str, module: str) -> list[App]:
    name = module.rpartition(".")[2]
    found = [
        App(kind=_FRAMEWORKS[framework], target=f"{module}:{variable}")
        for variable, framework in sorted(
            _MADE.findall(text), key=lambda made: made[0] not in _USUAL
        )
    ]
    if not found and stem in _WEB_MODULES and (called := _CALLED.search(text)):
        found.append(App(kind=_web_kind(text, name), target=f"{module}:{called[1]}"))
    if not found and (factory := _factory(text)):
        found.append(App(kind=factory[1], target=f"{module}:{factory[0]}", factory=True))
    if not found and name in ("asgi", "wsgi") and (named := _NAMED.search(text)):
        found.append(App(kind=_web_kind(text, name), target=f"{module}:{named[1]}"))
    if settings := _ARQ.search(text):
        found.append(App(kind="arq", target=f"{module}.{settings[1]}"))
    return found


def _web_kind(text: str, name: str) -> AppKind:
    if name in ("asgi", "wsgi"):
        return "asgi" if name == "asgi" else "wsgi"
    kinds = {_FRAMEWORKS[name] for name in re.findall(_MAKING, text)} - {"celery"}
    return kinds.pop() if len(kinds) == 1 else "web"


def _factory(text: str) -> tuple[str, AppKind] | None:
    """Find a function that can be called without arguments, in a module with a web framework."""
    made = re.search(_MAKING, text)
    if made and _FRAMEWORKS[made[1]] in ("asgi", "wsgi"):
        for name, parameters in _FACTORY.findall(text):
            words = [parameter.strip() for parameter in parameters.split(",")]
            if all("=" in word or word in ("", "*", "/") for word in words):
                return name, _FRAMEWORKS[made[1]]
    return None
