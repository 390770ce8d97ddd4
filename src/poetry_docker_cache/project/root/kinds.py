"""The two kinds of root."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class WheelRoot:
    """A root that is a package."""

    paths: tuple[str, ...]
    """What the wheel is made of, beside pyproject.toml: sorted, no path inside another.

    One that begins with `..` lies outside of the project.
    """
    requires: tuple[str, ...]
    backend: str
    """The hooks to call, where pyproject.toml names none Poetry's own."""
    needs_compiler: bool
    module: str | None
    """`python -m` runs this."""
    import_folders: tuple[str, ...] = ()
    """Those that `poetry install` puts on the path, where it does: "." is the project's own."""
    packages_above: tuple[tuple[str, str], ...] = ()
    """The import names and places of those that lie outside of the project."""
    backend_path: tuple[str, ...] = ()
    """Folders of an in-tree backend."""
    git_ignored: tuple[str, ...] = ()
    """Lines for the ignore file: what git ignores within the paths is not part of the wheel."""
    whole: bool = False
    """Whether what else it is made of cannot be told: it is built from the whole folder."""


@dataclass(frozen=True, kw_only=True)
class SourceTreeRoot:
    """A root that no wheel can be built from."""

    reason: str
    import_folder: str | None = None
    """Where its packages lie, if not at the top: `poetry install` has it on the path."""
    module: str | None = None
    """`python -m` runs this."""


class NoWheelError(Exception):
    """Why there is no wheel."""
