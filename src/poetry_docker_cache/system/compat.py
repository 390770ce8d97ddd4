"""Differences between the Python versions that Poetry runs on."""

from __future__ import annotations

import os
import sys
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:  # installed with Poetry there
    import tomli as tomllib

__all__ = ["exists", "is_folder", "is_link", "real_path", "tomllib"]


def real_path(path: Path | str) -> Path:
    """Resolve symlinks; `resolve()` raises for a loop of them (Python < 3.13)."""
    return Path(os.path.realpath(path))


def exists(path: Path | str) -> bool:
    """Return whether a path exists; `Path.exists()` raises if a name is too long (< 3.14)."""
    return os.path.exists(path)  # noqa: PTH110  # as above


def is_folder(path: Path | str) -> bool:
    """Return whether a path is a folder; `Path.is_dir()` raises for the same names."""
    return os.path.isdir(path)  # noqa: PTH112  # as above


def is_link(path: Path | str) -> bool:
    """Return whether a path is a symlink; `Path.is_symlink()` raises for the same names."""
    return os.path.islink(path)  # noqa: PTH114  # as above
