"""What differs between the Pythons that Poetry runs on."""

from __future__ import annotations

import os
import sys
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:  # Poetry brings it there
    import tomli as tomllib

__all__ = ["exists", "is_folder", "real_path", "tomllib"]


def real_path(path: Path | str) -> Path:
    """The path without symlinks; `resolve()` raises where they make a loop (Python < 3.13)."""
    return Path(os.path.realpath(path))


def exists(path: Path | str) -> bool:
    """Whether there is something; `Path.exists()` raises for a name that is too long (< 3.14)."""
    return os.path.exists(path)  # noqa: PTH110  # as said


def is_folder(path: Path | str) -> bool:
    """Whether it is a folder; `Path.is_dir()` raises for the same names."""
    return os.path.isdir(path)  # noqa: PTH112  # as said
