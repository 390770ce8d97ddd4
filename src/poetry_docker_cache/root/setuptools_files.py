"""Whether setup.py or setup.cfg says what a wheel of setuptools is made of.

The one is a program, and the other may have any of it read (`find:`, `file:`, `attr:`): what they
take cannot be told without running them. Many only hold the settings of other tools, or are a
`setup()` for tools that look for one, and say nothing.
"""

from __future__ import annotations

import ast
import configparser
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def decide(folder: Path) -> bool:
    """Tell whether one of them does."""
    return _script_decides(folder / "setup.py") or _settings_decide(folder / "setup.cfg")


def _script_decides(path: Path) -> bool:
    if not path.is_file():
        return False
    try:
        body = ast.parse(path.read_bytes()).body
    except (SyntaxError, ValueError):
        return True
    return not all(_says_nothing(it) for it in body)


def _says_nothing(statement: ast.stmt) -> bool:
    """An import of setuptools, a text, `setup()`, or that below `if __name__ == "__main__"`."""
    if isinstance(statement, ast.ImportFrom):
        return statement.module == "setuptools"
    if isinstance(statement, ast.Import):
        return all(it.name == "setuptools" for it in statement.names)
    if isinstance(statement, ast.If):
        return all(_says_nothing(it) for it in (*statement.body, *statement.orelse))
    value = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(value, ast.Constant) or (
        isinstance(value, ast.Call) and not value.args and not value.keywords
    )


def _settings_decide(path: Path) -> bool:
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read(path, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError):
        return True
    return any(
        name.partition(".")[0] in {"metadata", "options"} and parser.items(name)
        for name in parser.sections()
    )
