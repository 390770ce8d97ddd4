"""Finds the applications in a project's source, by where frameworks have one put them.

This decides nothing: it is for a note that proposes how to start one.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from poetry_docker_cache.ignore.rules import is_inside
from poetry_docker_cache.root.kinds import SourceTreeRoot, WheelRoot
from poetry_docker_cache.root.running import import_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

Kind = Literal["asgi", "wsgi", "celery", "arq"]

_MODULES = (
    *("main", "app", "wsgi", "asgi", "api", "server", "application", "__init__"),
    *("celery", "celery_app", "worker", "tasks"),
)
_NO_APPLICATIONS = {"docs", "examples", "migrations", "scripts", "test", "tests"}
_FRAMEWORKS: dict[str, Kind] = {
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
# At the start of a word, or a long one would be tried from each of its letters.
_MAKING = rf"(?<![\w.])(?:\w+\.)*({'|'.join(_FRAMEWORKS)})\("
_MADE = re.compile(rf"^(\w+)(?:[ \t]*:[^=\n]+)?[ \t]*=[ \t]*{_MAKING}", re.MULTILINE)
_USUAL = ("app", "application")
_NAMED = re.compile(r"^(application|app)[ \t]*=", re.MULTILINE)
_FACTORY = re.compile(r"^def ((?:create|make|get)_app(?:lication)?)\(([^()]*)\)", re.MULTILINE)
_ARQ = re.compile(r"^class (WorkerSettings)\b", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class App:
    """An application, as servers and workers are told it."""

    kind: Kind
    target: str
    """`module:name`."""
    factory: bool = False
    """Whether that is a function which makes it."""


def find_apps(
    folder: Path, root: WheelRoot | SourceTreeRoot, files: Sequence[str] | None
) -> tuple[App, ...]:
    """The applications of the image, the likeliest first; `files` is `runtime_files`."""
    kept = None if files is None or isinstance(root, SourceTreeRoot) else [*root.paths, *files]
    found: list[App] = []
    for path, module in _modules(folder, root):
        if kept is None or is_inside(path.relative_to(folder).as_posix(), kept):
            with contextlib.suppress(OSError):  # most are not there, some may not be read
                text = path.read_text(encoding="utf-8", errors="replace")
                found += _apps(text, path.stem, module)
    return tuple(found)


def _modules(folder: Path, root: WheelRoot | SourceTreeRoot) -> Iterator[tuple[Path, str]]:
    """The usual places with their import names: at the top or in src, or in a package there."""
    on_path = import_folder(folder) if isinstance(root, WheelRoot) else root.import_folder
    tops = [folder, *([folder / on_path] if on_path else [])]
    places = [(top, "") for top in tops]
    for top in tops:
        with contextlib.suppress(OSError):
            for child in sorted(path for path in top.iterdir() if path.is_dir()):
                if child.name.isidentifier() and child.name not in _NO_APPLICATIONS:
                    places += [(child, child.name)] if child not in tops else []
    for place, package in places:
        for stem in _MODULES:
            parts = [package, "" if stem == "__init__" else stem]
            if any(parts):
                yield place / f"{stem}.py", ".".join(filter(None, parts))


def _apps(text: str, stem: str, module: str) -> list[App]:
    found = [
        App(kind=_FRAMEWORKS[framework], target=f"{module}:{name}")
        for name, framework in sorted(_MADE.findall(text), key=lambda it: it[0] not in _USUAL)
    ]
    if not found and (factory := _factory(text)):
        found.append(App(kind=factory[1], target=f"{module}:{factory[0]}", factory=True))
    if not found and stem in ("asgi", "wsgi") and (named := _NAMED.search(text)):
        kind: Kind = "asgi" if stem == "asgi" else "wsgi"
        found.append(App(kind=kind, target=f"{module}:{named[1]}"))
    if settings := _ARQ.search(text):
        found.append(App(kind="arq", target=f"{module}.{settings[1]}"))
    return found


def _factory(text: str) -> tuple[str, Kind] | None:
    """A function that can be called without arguments, in a module that makes an application."""
    made = re.search(_MAKING, text)
    if made and _FRAMEWORKS[made[1]] in ("asgi", "wsgi"):
        for name, parameters in _FACTORY.findall(text):
            if all("=" in it or it.strip() in ("", "*", "/") for it in parameters.split(",")):
                return name, _FRAMEWORKS[made[1]]
    return None
