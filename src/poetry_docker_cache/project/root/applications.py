"""Finds what can be started: modules and the applications of web and worker frameworks."""

from __future__ import annotations

import configparser
import contextlib
import itertools
import posixpath
import re
import sys
from dataclasses import replace
from pathlib import PurePath
from typing import TYPE_CHECKING

from poetry_docker_cache.docker.ignore_patterns import is_inside, outermost
from poetry_docker_cache.docker.kept_out import is_kept_out
from poetry_docker_cache.project.model import UNLIKELY, App, AppKind, SourceTreeRoot, WheelRoot
from poetry_docker_cache.project.root.declared import (
    is_file,
    is_here,
    main_module,
    relative,
    text_of,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

# Names that a running application usually reads from its working directory.
_STARTED = ("main.py", "app.py", "run.py", "server.py", "bot.py", "streamlit_app.py")
_BESIDE_FILES = ("alembic.ini", "asgi.py", "gunicorn.conf.py", "wsgi.py", *_STARTED)
_BESIDE_FOLDERS = ("migrations", "static", "templates")
NO_APPLICATIONS = {
    *("benchmark", "benchmarks", "demo", "demos", "doc", "docs", "example", "examples"),
    *("migrations", "notebooks", "scripts", "static", "templates", "test", "testing", "tests"),
}
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


def source_folder(folder: Path) -> str | None:
    """Return the folder in which modules import each other by their names, if it is not the top.

    Python needs it on the path: its modules do not say `from src import …`.
    """
    managed = [path.parent.name for path in folder.glob("*/manage.py")]
    if (folder / "manage.py").exists():
        return None
    places = [folder / name for name in managed] or _packages(folder)
    found = [
        place.name
        for place in places
        if place.name in managed or _imports(place, _siblings(place) - _siblings(folder))
    ]
    return found[0] if len(found) == 1 and not _imports(folder / found[0], {*found}) else None


def _siblings(folder: Path) -> set[str]:
    files = {path.stem for path in _files_in(folder)}
    packages = {path.name for path in _packages(folder) if any(path.glob("*.py"))}
    return (files | packages) - {*sys.stdlib_module_names, "__init__", "__main__"}


def _imports(folder: Path, names: Collection[str]) -> bool:
    """Return whether code in a folder imports one of these modules by its name alone."""
    if not names:
        return False
    pattern = rf"^(?:from|import)[ \t]+(?:{'|'.join(map(re.escape, sorted(names)))})\b"
    places = itertools.chain([folder], _packages(folder))
    files = itertools.islice((file for place in places for file in _files_in(place)), 100)
    return any(re.search(pattern, text_of(file), re.MULTILINE) for file in files)


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


_USUAL_STEMS = ("main", "app", "api", "server", "application", "core", "service", "web", "__init__")
_GATEWAYS = ("asgi", "wsgi", *_USUAL_STEMS)
_SKIPPED_STEMS = re.compile(r"(test_.*|.*_tests?|conftest|setup|noxfile|tasks_?test)")
_MOST_FILES, _DEEPEST = 400, 3
_FRAMEWORKS: dict[str, AppKind] = {
    "FastAPI": "asgi",
    "Litestar": "asgi",
    "Quart": "asgi",
    "Starlette": "asgi",
    "get_asgi_application": "asgi",
    "Bottle": "wsgi",
    "Flask": "wsgi",
    "falcon.API": "wsgi",
    "falcon.App": "wsgi",
    "falcon.asgi.App": "asgi",
    "get_wsgi_application": "wsgi",
    "web.Application": "aiohttp",
    "Sanic": "sanic",
    "Celery": "celery",
}
# Matches only at the start of a word: trying each letter of a long word is slow.
_MAKING = rf"(?<![\w.])(?:\w+\.)*({'|'.join(map(re.escape, _FRAMEWORKS))})\("
_MADE = re.compile(rf"^(\w+)(?:[ \t]*:[^=\n]+)?[ \t]*=[ \t]*{_MAKING}", re.MULTILINE)
_USUAL = ("app", "application", "api", "server")
_NAMED = re.compile(r"^(application|app)[ \t]*=", re.MULTILINE)
_CALLED = re.compile(
    r"^(application|app)(?:[ \t]*:[^=\n]+)?[ \t]*=[ \t]*"
    r"(?:\w+\.)*(?:build|create|get|init|make|setup)_\w+\(",
    re.MULTILINE,
)
_FACTORY = re.compile(
    r"^def ((?:create|make|get|build)_app(?:lication)?)\(([^()]*)\)", re.MULTILINE
)
_ARQ = re.compile(r"^class (WorkerSettings)\b", re.MULTILINE)
_STREAMLIT = re.compile(r"^(?:import|from) streamlit\b", re.MULTILINE)
_STREAMLIT_CALL = re.compile(r"^(?:st|streamlit)\.\w+|^if __name__ ==|^main\(", re.MULTILINE)
_GRADIO = re.compile(r"^(?:import|from) gradio\b", re.MULTILINE)
_GRADIO_LAUNCH = re.compile(r"\.launch\(")
_AIOHTTP_RUN = re.compile(r"\bweb\.run_app\(")
_DRAMATIQ = re.compile(r"\bdramatiq\.set_broker\(")
_RQ = re.compile(r"^(?:from rq import .*\b(?:Queue|Worker)\b|import rq\b)", re.MULTILINE)
_HINTS = (
    *(f"{name}(" for name in _FRAMEWORKS),
    *("WorkerSettings", "streamlit", "gradio", "dramatiq", "web.run_app(", "from rq", "import rq"),
)
"""A file without any of these has no application, unless its name is usual."""
_WEB_KINDS = ("asgi", "wsgi", "web", "aiohttp", "sanic", "streamlit", "gradio")
_SETTINGS = re.compile(r"DJANGO_SETTINGS_MODULE[\"'] *, *[\"']([\w.]+)[\"']")


def find_apps(
    folder: Path,
    root: WheelRoot | SourceTreeRoot,
    files: Sequence[str] | None,
    scripts: Mapping[str, str] | None = None,
) -> tuple[App, ...]:
    """List the applications in the image, the most likely first.

    `files` is `runtime_files`, and `scripts` are the project's commands with their references.
    """
    kept = None if files is None or isinstance(root, SourceTreeRoot) else [*root.paths, *files]
    found: list[App] = []
    texts: dict[str, str] = {}
    for path, module in _modules(folder, root):
        name = relative(folder, path)
        if name in texts or not (kept is None or is_inside(name, kept)):
            continue
        if files is not None and not _ships(root, module) and not is_inside(name, files):
            continue
        texts[name] = text = text_of(path)
        if path.stem in _GATEWAYS or any(hint in text for hint in _HINTS):
            found += _apps(text, path.stem, module, name)
    found = _without_imported(found, texts)
    found += _programs(folder, root, files, scripts or {})
    managed = _manage(folder)
    if managed and (settings := _SETTINGS.search(text_of(managed))):
        found = _of_django(found, settings[1], managed.parent)
    return tuple(sorted(found, key=lambda app: app.rank))


def _ships(root: WheelRoot | SourceTreeRoot, module: str) -> bool:
    """Return whether the wheel may contain a module, or there is no wheel."""
    known = None if isinstance(root, SourceTreeRoot) else root.modules
    return known is None or module.partition(".")[0] in known


_PROGRAMS = ("main", "bot", "run", "app", "server", "start", "worker")
_STARTS = re.compile(
    r"^(?:if __name__ == ['\"]__main__['\"]|asyncio\.run\(|(?:\w+\.)*(?:run\w*|main|start\w*)\()",
    re.MULTILINE,
)


def _programs(
    folder: Path,
    root: WheelRoot | SourceTreeRoot,
    files: Sequence[str] | None,
    scripts: Mapping[str, str],
) -> Iterator[App]:
    """Yield what Python itself can start: a package with `__main__.py`, or the usual files."""
    if root.module and not is_development(root.module):
        # A package without any of the scripts is not the application, but for example a benchmark.
        tops = {reference.partition(":")[0].split(".")[0] for reference in scripts.values()}
        if not tops or root.module.split(".")[0] in tops:
            yield App(kind="python", target=f"-m {root.module}")
        return
    tree = isinstance(root, SourceTreeRoot)
    for rank, pattern in enumerate(("*.py", "*/*.py") if tree else ("*.py",), start=1):
        for path in sorted(folder.glob(pattern)):
            name = relative(folder, path)
            top = path.parent.name
            if (
                path.stem not in _PROGRAMS
                or (rank > 1 and (top in NO_APPLICATIONS or is_kept_out(top)))
                or not (files is None or is_inside(name, files))
            ):
                continue
            text = text_of(path)
            if re.search(r"\bdebug=True|\breload=True", text):
                continue
            inside = rf"^(?:from|import)[ \t]+(?:{re.escape(top)}\b|\.)"
            packaged = rank > 1 and re.search(inside, text, re.MULTILINE)
            target = f"-m {top}.{path.stem}" if packaged else name
            likely = rank if _STARTS.search(text) else UNLIKELY
            yield App(kind="python", target=target, path=name, rank=likely)


_DEVELOPMENT = {
    *("bench", "benchmark", "bump", "check", "clean", "client", "cov", "coverage", "debug"),
    *("deploy", "dev", "develop", "development", "docs", "download", "fixtures", "fmt", "format"),
    *("gen", "generate", "init", "install", "lint", "load", "migrate", "migrations", "mock"),
    *("mypy", "populate", "profile", "publish", "pytest", "release", "reload", "ruff", "seed"),
    *("seeder", "setup", "test", "tests", "typecheck", "watch"),
}
"""Words in the names of scripts for development."""


def is_development(name: str) -> bool:
    """Return whether a script or module is named like a tool for development."""
    return not _DEVELOPMENT.isdisjoint(re.split(r"[-_.]", name.lower()))


def development_scripts(folder: Path, scripts: Mapping[str, str]) -> frozenset[str]:
    """Find the scripts, by name and reference, that are tools for development.

    Their name says so, or their function starts a server that reloads code.
    """
    return frozenset(
        name
        for name, reference in scripts.items()
        if is_development(name)
        or any(name == f"{other}-cli" for other in scripts)
        or _is_development_server(folder, reference)
    )


def _is_development_server(folder: Path, reference: str) -> bool:
    module, _, function = reference.partition(":")
    name = module.strip().replace(".", "/")
    for path in (f"{name}.py", f"{name}/__init__.py"):
        for place in (folder / path, folder / "src" / path):
            if is_file(place):
                start = rf"^(?:async )?def {re.escape(function.strip())}\(.*?(?=^\S|\Z)"
                body = re.search(start, text_of(place), re.MULTILINE | re.DOTALL)
                text = body[0] if body else ""
                return bool(re.search(r"\b(?:debug|reload)=True|runserver|pytest", text))
    return False


def _manage(folder: Path) -> Path | None:
    places = [folder / "manage.py", *sorted(folder.glob("*/manage.py"))]
    return next((path for path in places if is_file(path)), None)


def _of_django(apps: Sequence[App], settings: str, place: Path) -> list[App]:
    """Put first what belongs to the settings that manage.py names: `config.settings.production`.

    If these settings are outside the project, nothing that needs them can start.
    """
    package = settings.split(".", maxsplit=1)[0]
    gateways = [app for app in apps if app.target.split(":")[0].endswith(("asgi", "wsgi"))]
    if not (place / package).exists() and not is_file(place / f"{package}.py"):
        return [app for app in apps if app not in gateways]
    own = [app for app in gateways if app.target.startswith(f"{package}.")]
    others = [replace(app, rank=app.rank + bool(own)) for app in apps if app not in own]
    return [*(replace(app, rank=0) for app in own), *others]


def _without_imported(apps: Sequence[App], texts: Mapping[str, str]) -> list[App]:
    """Remove applications that another one imports: it includes or mounts them."""
    kept = []
    for app in apps:
        module, _, name = app.target.partition(":")
        last = module.rpartition(".")[2]
        inner = rf"(?:{re.escape(module)}|\.+{re.escape(last)}|\.+)"
        named = re.escape(name or last)
        pattern = rf"^[ \t]*from[ \t]+{inner}[ \t]+import\b[^\n]*(?:\([^)]*)?\b{named}\b"
        others = {
            other.path
            for other in apps
            if other.path != app.path and (other.kind in _WEB_KINDS) == (app.kind in _WEB_KINDS)
        }
        if app.kind == "streamlit":
            pattern = (
                rf"^[ \t]*(?:from|import)[ \t]+(?:[\w.]*\.)?{re.escape(PurePath(app.path).stem)}\b"
            )
        if not any(re.search(pattern, texts[path], re.MULTILINE) for path in others):
            kept.append(app)
    return kept


def _modules(folder: Path, root: WheelRoot | SourceTreeRoot) -> Iterator[tuple[Path, str]]:
    """Yield Python files and their import names, from the top to some packages deep."""
    above: list[tuple[Path, str]] = []
    if isinstance(root, SourceTreeRoot):
        source = root.import_folder or "."
        # Code may also say `from src.config import …`, since the top folder is on the path, too.
        on_path = ["." if _imports(folder / source, {source}) else source]
    else:
        on_path = [*root.import_folders] or [import_folder(folder) or "."]
        above = [(folder / place, name) for name, place in root.packages_above]
    tops = [*dict.fromkeys((*(folder / name for name in on_path), folder))]
    level = [*((top, "") for top in tops), *above]
    count = 0
    for _ in range(_DEEPEST + 1):
        inner: list[tuple[Path, str]] = []
        for place, package in level:
            for path in _files_in(place):
                count += 1
                if count == _MOST_FILES:
                    return
                stem = "" if path.stem == "__init__" else path.stem
                if package or stem:
                    yield path, ".".join(filter(None, (package, stem)))
            inner += [
                (path, f"{package}.{path.name}".lstrip("."))
                for path in _packages(place)
                if path not in tops
            ]
        level = inner


def _files_in(folder: Path) -> list[Path]:
    found: list[Path] = []
    with contextlib.suppress(OSError):
        found = [path for path in folder.iterdir() if path.suffix == ".py"]
    return sorted(path for path in found if not _SKIPPED_STEMS.fullmatch(path.stem))


def _packages(folder: Path) -> list[Path]:
    found: list[Path] = []
    with contextlib.suppress(OSError):
        found = [path for path in folder.iterdir() if path.is_dir() and "." not in path.name]
    return sorted(
        path for path in found if path.name not in NO_APPLICATIONS and not is_kept_out(path.name)
    )


def _apps(text: str, stem: str, module: str, path: str) -> list[App]:
    name = module.rpartition(".")[2]
    gateway = name in ("asgi", "wsgi")
    unusual = 0 if gateway else 1 if stem in _USUAL_STEMS else 2
    found = [
        App(
            kind=_FRAMEWORKS[framework],
            target=f"{module}:{variable}",
            path=path,
            rank=unusual + (variable not in _USUAL),
        )
        for variable, framework in _MADE.findall(text)
    ]
    if (
        not found
        and (gateway or stem in _USUAL_STEMS or name == stem == "wsgi")
        and (called := _CALLED.search(text))
    ):
        found.append(
            App(kind=_web_kind(text, name), target=f"{module}:{called[1]}", path=path, rank=unusual)
        )
    if not found and (factory := _factory(text)):
        found.append(
            App(kind=factory[1], target=f"{module}:{factory[0]}", factory=True, path=path, rank=4)
        )
    if not found and gateway and (named := _NAMED.search(text)):
        found.append(App(kind=_web_kind(text, name), target=f"{module}:{named[1]}", path=path))
    return found + _others(text, stem, module, path)


def _others(text: str, stem: str, module: str, path: str) -> list[App]:
    """Find what has a program of its own to start it."""
    found = []
    if settings := _ARQ.search(text):
        found.append(App(kind="arq", target=f"{module}.{settings[1]}", path=path))
    parts = path.split("/")
    if _STREAMLIT.search(text) and _STREAMLIT_CALL.search(text) and "pages" not in parts[:-1]:
        usual = stem.lower() in ("streamlit_app", "app", "main", "home", "dashboard")
        sets = "set_page_config" in text
        found.append(App(kind="streamlit", target=path, path=path, rank=3 - usual - sets))
    if _GRADIO.search(text) and _GRADIO_LAUNCH.search(text):
        found.append(App(kind="gradio", target=module, path=path, rank=2 - (stem in _USUAL_STEMS)))
    if _AIOHTTP_RUN.search(text) and _has_guard(text):
        found.append(App(kind="aiohttp", target=module, path=path, rank=3))
    if _DRAMATIQ.search(text):
        found.append(App(kind="dramatiq", target=module, path=path))
    if _RQ.search(text):
        found.append(App(kind="rq", target="", path=path))
    return found


def _has_guard(text: str) -> bool:
    return re.search(r"^if __name__ == ['\"]__main__['\"]", text, re.MULTILINE) is not None


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
