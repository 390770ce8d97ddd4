"""Reads where a Django project collects its static files, without running its code."""

from __future__ import annotations

import ast
import contextlib
import posixpath
import re
from typing import TYPE_CHECKING

from poetry_docker_cache.project.model import StaticFiles
from poetry_docker_cache.project.root.declared import is_file, relative, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MODULE = re.compile(r"DJANGO_SETTINGS_MODULE[\"'] *, *[\"']([\w.]+)[\"']")
_FROM = re.compile(r"^[ \t]*from[ \t]+(\.*)([\w.]*)[ \t]+import\b", re.MULTILINE)
# Without a default, or with an empty one, which Django refuses: `os.environ["X"]`,
# `os.getenv("X", "")`, and the calls of django-environ and python-decouple.
_SECRET_KEY = re.compile(
    r"^[ \t]*SECRET_KEY\b[^=\n]*=[ \t]*(?:\w+\.)*"
    r"(?:environ\[|(?:getenv|env|env\.str|config|environ\.get)\()\s*[\"'](\w+)[\"']"
    r"(?:\s*,\s*(?:default=)?(?:\"\"|''))?\s*[\])]",
    re.MULTILINE,
)
_MOST_MODULES = 20
# A path in the project begins with this folder, so that its parents can be told from other paths.
_PROJECT = "/.above/.above/.project"
_SAME = {"abspath", "absolute", "fspath", "normpath", "Path", "realpath", "resolve", "str"}
_DEFAULTS = {"config", "env", "get", "getenv", "str"}
"""Functions that read a variable of the environment, which an image does not have."""


def find_static_files(folder: Path) -> StaticFiles | None:
    """Return what `collectstatic` needs; None if no settings set `STATIC_ROOT`."""
    places = [folder / "manage.py", *sorted(folder.glob("*/manage.py"))]
    manage = next((path for path in places if is_file(path)), None)
    if manage is None or not (named := _MODULE.search(text_of(manage))):
        return None
    place = posixpath.dirname(relative(folder, manage))
    modules = dict(_modules(manage.parent, named[1]))
    values: dict[str, str | None] = {"BASE_DIR": posixpath.join(_PROJECT, place)}
    for path in reversed(modules):  # the imported ones first
        _assign(modules[path], posixpath.join(_PROJECT, relative(folder, path)), values)
    if "STATIC_ROOT" not in values:
        return None
    keys = (_SECRET_KEY.search(text) for text in modules.values())
    return StaticFiles(
        manage=relative(folder, manage),
        folder=_in_image(values["STATIC_ROOT"]),
        secret_key=next((found[1] for found in keys if found), None),
    )


def _modules(place: Path, module: str) -> Iterator[tuple[Path, str]]:
    """Yield the file and text of a settings module, and of the project's modules it imports."""
    waiting = [module]
    seen: set[Path] = set()
    while waiting and len(seen) < _MOST_MODULES:
        name = waiting.pop(0)
        stem = place / name.replace(".", "/")
        files = (stem.with_name(f"{stem.name}.py"), stem / "__init__.py")
        path = next((path for path in files if is_file(path)), None)
        if path is None or path in seen:
            continue
        seen.add(path)
        text = text_of(path)
        yield path, text
        package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
        for dots, other in _FROM.findall(text):
            above = package[: len(package) + 1 - len(dots)] if dots else []
            waiting.append(".".join([*above, *filter(None, [other])]))


def _assign(text: str, file: str, values: dict[str, str | None]) -> None:
    """Add the paths that a module assigns to names; None for any other value."""
    with contextlib.suppress(SyntaxError, ValueError, RecursionError):
        found = [
            node
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.Assign | ast.AnnAssign) and node.value
        ]
        for node in sorted(found, key=lambda node: node.lineno):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for name in (target.id for target in targets if isinstance(target, ast.Name)):
                path = _path(node.value, {**values, "__file__": file})
                if path is not None or name != "BASE_DIR":
                    values[name] = path


def _path(node: ast.expr | None, values: dict[str, str | None]) -> str | None:  # noqa: PLR0911  # a form each
    """Evaluate an expression for a path; None if it has another form."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.Name(id=name):
            return values.get(name)
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            return _joined([left, right], values)
        case ast.Attribute(value=inner, attr="parent"):
            return _above(inner, 1, values)
        case ast.Subscript(
            value=ast.Attribute(value=inner, attr="parents"), slice=ast.Constant(value=int(count))
        ):
            return _above(inner, count + 1, values)
        case ast.Call(func=ast.Attribute(value=inner, attr=name), args=args):
            return _called(name, args or [inner], node.keywords, values, inner=inner)
        case ast.Call(func=ast.Name(id=name), args=args):
            return _called(name, args, node.keywords, values)
    return None


def _called(
    name: str,
    arguments: list[ast.expr],
    keywords: list[ast.keyword],
    values: dict[str, str | None],
    inner: ast.expr | None = None,
) -> str | None:
    """Evaluate a call of a function, or of a method of `inner`."""
    if name == "join":
        return _joined(arguments, values)
    if name == "joinpath" and inner:
        return _joined([inner, *arguments], values)
    if name == "dirname":
        return _above(arguments[0], 1, values)
    if name in _DEFAULTS and (len(arguments) > 1 or keywords):
        named = [word.value for word in keywords if word.arg == "default"]
        return _path(next(iter([*arguments[1:], *named]), None), values)
    return _path(arguments[0], values) if name in _SAME and len(arguments) == 1 else None


def _joined(parts: list[ast.expr], values: dict[str, str | None]) -> str | None:
    paths = [_path(part, values) for part in parts]
    known = [path for path in paths if path is not None]
    is_whole = known and len(known) == len(paths)
    return posixpath.normpath(posixpath.join(*known)) if is_whole else None


def _above(node: ast.expr, count: int, values: dict[str, str | None]) -> str | None:
    path = _path(node, values)
    for _ in range(count):
        path = path and posixpath.dirname(path)
    return path


def _in_image(path: str | None) -> str | None:
    """Return a path as `output` takes it: relative to the project, or absolute."""
    if not path or not path.strip():
        return None
    path = posixpath.normpath(path)
    if path.startswith(f"{_PROJECT}/"):
        return path.removeprefix(f"{_PROJECT}/")
    outside = path.startswith(("/.above", "..")) or path in ("/", ".")
    return None if outside else path
