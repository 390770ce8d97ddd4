"""STATIC_ROOT in Django's settings, found without running them."""

from __future__ import annotations

import ast
import posixpath
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_TOP = "/\N{BULLET}project"
"""Stands for the project's folder."""
_SAME = {"str", "abspath", "realpath", "normpath", "Path", "PurePath", "resolve", "absolute"}
_SAME |= {"as_posix", "fspath"}


def find_static_root(texts: Mapping[str, str], module: str = "") -> str | None:
    """Return the folder of `collectstatic`, relative to the project or absolute.

    `texts` are the settings by their paths, `module` the one that DJANGO_SETTINGS_MODULE names.
    None if it is unclear.
    """
    trees = {path: tree for path, text in texts.items() if (tree := _parsed(text))}
    common: dict[str, str] = {}
    for path, tree in trees.items():
        common = {**_Names(path, {}).read(tree), **common}
    found = {
        path: _Names(path, common).read(tree).get("STATIC_ROOT")
        for path, tree in trees.items()
        if _assigns(tree)
    }
    named = [path for path in found if module and path.endswith(f"{module.replace('.', '/')}.py")]
    values = {found[path] for path in named or found}
    value = values.pop() if len(values) == 1 else None
    if value is None or not value.startswith(_TOP):
        return value
    inner = posixpath.relpath(value, _TOP)
    return None if inner.startswith("..") or inner == "." else inner


def _parsed(text: str) -> ast.Module | None:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return None


def _assigns(tree: ast.Module) -> bool:
    return any(
        isinstance(target, ast.Name) and target.id == "STATIC_ROOT"
        for node in tree.body
        for target, value in _assignments(node)
        if not (isinstance(value, ast.Name) and value.id == "STATIC_ROOT")
    )


def _assignments(node: ast.stmt) -> list[tuple[ast.expr, ast.expr]]:
    if isinstance(node, ast.Assign):
        return [(target, node.value) for target in node.targets]
    if isinstance(node, ast.AnnAssign) and node.value:
        return [(node.target, node.value)]
    return []


class _Names:
    """The module's names that stand for paths."""

    def __init__(self, path: str, common: Mapping[str, str]) -> None:
        self._known = {**common, "__file__": posixpath.join(_TOP, path)}
        self._own: dict[str, str] = {}

    def read(self, tree: ast.Module) -> dict[str, str]:
        """Return the paths of the names that the module assigns."""
        for node in tree.body:
            for target, value in _assignments(node):
                if not isinstance(target, ast.Name):
                    continue
                found = self._value(value)
                if found is None:
                    self._known.pop(target.id, None)
                    self._own.pop(target.id, None)
                else:
                    self._known[target.id] = self._own[target.id] = found
        return self._own

    def _value(self, node: ast.expr) -> str | None:  # noqa: PLR0911  # one for each form
        match node:
            case ast.Constant(value=str(text)):
                return text
            case ast.Name(id=name):
                return self._known.get(name)
            case ast.Attribute(value=inner, attr="parent"):
                return self._above(self._value(inner), 1)
            case ast.BinOp(left=left, op=ast.Div(), right=right):
                return self._joined(left, [right])
            case ast.BinOp(left=left, op=ast.Sub(), right=ast.Constant(value=int(levels))):
                return self._above(self._value(left), levels)  # django-environ
            case ast.Subscript(
                value=ast.Attribute(value=inner, attr="parents"),
                slice=ast.Constant(value=int(level)),
            ):
                return self._above(self._value(inner), level + 1)
            case ast.Call():
                return self._call(node)
        return None

    def _call(self, node: ast.Call) -> str | None:  # noqa: PLR0911  # one for each form
        name = _last(node.func)
        given = node.args
        default = next((word.value for word in node.keywords if word.arg == "default"), None)
        if name in ("join", "joinpath") and isinstance(node.func, ast.Attribute):
            if name == "joinpath":
                return self._joined(node.func.value, given)
            return self._joined(given[0], given[1:]) if given else None
        if name == "dirname" and given:
            return self._above(self._value(given[0]), 1)
        if name in _SAME:
            if given:
                return self._joined(given[0], given[1:])
            return self._value(node.func.value) if isinstance(node.func, ast.Attribute) else None
        if default is not None:
            return self._value(default)
        is_variable = re.search(r"env", ast.unparse(node.func), re.IGNORECASE)
        if is_variable and len(given) == 2:  # noqa: PLR2004  # a variable and its default
            return self._value(given[1])
        if isinstance(node.func, ast.Name) and given:  # `root("static")` of django-environ
            return self._joined(node.func, given)
        return None

    def _joined(self, first: ast.expr, rest: list[ast.expr]) -> str | None:
        parts = [self._value(part) for part in (first, *rest)]
        known = [part for part in parts if part is not None]
        return posixpath.normpath(posixpath.join(*known)) if len(known) == len(parts) else None

    def _above(self, path: str | None, levels: int) -> str | None:
        for _ in range(levels):
            path = posixpath.dirname(path) if path else None
        return path or None


def _last(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
