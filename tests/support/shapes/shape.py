"""Definition of a shape: a project with all that tests need to know of it."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Constraint:
    """The constraint on acme-lib in pyproject.toml, and its replacements."""

    text: str
    """The constraint, which occurs once."""
    wider: str
    """Selects the same version, 1.1."""
    other: str
    """Selects another version, 1.0."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A project, and how it is installed."""

    pyproject: str
    """Uses `{acme}`, `{cpu}`, `{cuda}` and `{more}` for the URLs of indexes."""
    files: Mapping[str, str]
    prints: str
    """The output of its container."""
    options: tuple[str, ...] = ("--only", "main")
    """Options of `poetry install`; the plugin's settings select the same."""
    may_have_scripts: bool = True
    """Whether an entry point can be added: maturin allows none beside a program."""
    is_package: bool = True
    """Whether Poetry can install the project itself."""
    constraint: Constraint | None = Constraint(
        text='"acme-lib"', wider='"acme-lib (>=0.5)"', other='"acme-lib (<1.1)"'
    )
    """None if it has no dependencies."""

    def write(self, folder: Path, urls: Mapping[str, str]) -> None:
        """Write all files except the lock, with the URLs of the indexes."""
        texts = {"pyproject.toml": self.pyproject.format(**urls), **self.files}
        for name, text in texts.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(textwrap.dedent(text).encode())
            path.chmod(0o755 if text.startswith("#!") else 0o644)


ACME = """
[[tool.poetry.source]]
name = "acme"
url = "{acme}"
"""
"""Replaces PyPI."""

EXPLICIT = ACME + 'priority = "explicit"\n'
"""Used in addition to PyPI."""

POETRY_CORE = """
[build-system]
requires = ["poetry-core>=2.0"]
build-backend = "poetry.core.masonry.api"
"""
