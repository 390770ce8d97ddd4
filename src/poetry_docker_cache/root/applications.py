"""Finds the applications in a project's source, by where frameworks have one put them.

This decides nothing: it is for a note that proposes how to start one.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from poetry_docker_cache.ignore.names import is_kept_out
from poetry_docker_cache.ignore.rules import is_inside
from poetry_docker_cache.root.kinds import SourceTreeRoot, WheelRoot
from poetry_docker_cache.root.running import NO_APPLICATIONS, import_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

Kind = Literal["asgi", "wsgi", "web", "celery", "arq"]
"""`web` is one of the first two: the packages of the image tell."""

_WEB_MODULES = (
    "wsgi",
    "asgi",
    "main",
    "app",
    "api",
    "server",
    "application",
    "core",
    "__init__",
)
_MODULES = (*_WEB_MODULES, "celery", "celery_app", "worker", "tasks")
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
_CALLED = re.compile(
    r"^(application|app)(?:[ \t]*:[^=\n]+)?[ \t]*=[ \t]*"
    r"(?:\w+\.)*(?:build|create|get|init|make|setup)_\w+\(",
    re.MULTILINE,
)
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
    """The usual places with their import names: at the top, in src, and two packages deep."""
    above: list[tuple[Path, str]] = []
    if isinstance(root, SourceTreeRoot):
        on_path = [root.import_folder or "."]
    else:
        on_path = [*root.import_folders] or [import_folder(folder) or "."]
        above = [(folder / place, name) for name, place in root.packages_above]
    tops = [*dict.fromkeys((folder, *(folder / it for it in on_path)))]
    here = [(it, it.name) for top in tops for it in _packages(top) if it not in tops]
    packages = [*above, *here]
    inner = [(it, f"{name}.{it.name}") for place, name in packages for it in _packages(place)]
    for place, package in [*((top, "") for top in tops), *packages, *inner]:
        for stem in _MODULES:
            parts = [package, "" if stem == "__init__" else stem]
            if any(parts):
                yield place / f"{stem}.py", ".".join(filter(None, parts))


def _packages(folder: Path) -> list[Path]:
    found: list[Path] = []
    with contextlib.suppress(OSError):
        found = [it for it in folder.iterdir() if it.name.isidentifier() and it.is_dir()]
    return sorted(it for it in found if it.name not in NO_APPLICATIONS and not is_kept_out(it.name))


def _apps(text: str, stem: str, module: str) -> list[App]:
    name = module.rpartition(".")[2]
    found = [
        App(kind=_FRAMEWORKS[framework], target=f"{module}:{variable}")
        for variable, framework in sorted(_MADE.findall(text), key=lambda it: it[0] not in _USUAL)
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


def _web_kind(text: str, name: str) -> Kind:
    if name in ("asgi", "wsgi"):
        return "asgi" if name == "asgi" else "wsgi"
    kinds = {_FRAMEWORKS[it] for it in re.findall(_MAKING, text)} - {"celery"}
    return kinds.pop() if len(kinds) == 1 else "web"


def _factory(text: str) -> tuple[str, Kind] | None:
    """A function that can be called without arguments, in a module that makes an application."""
    made = re.search(_MAKING, text)
    if made and _FRAMEWORKS[made[1]] in ("asgi", "wsgi"):
        for name, parameters in _FACTORY.findall(text):
            if all("=" in it or it.strip() in ("", "*", "/") for it in parameters.split(",")):
                return name, _FRAMEWORKS[made[1]]
    return None
