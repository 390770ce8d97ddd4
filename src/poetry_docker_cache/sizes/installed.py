"""Sizes of installed distributions; an image's Python, 3.9 or later, runs this file as well."""

from __future__ import annotations

import importlib.metadata
import json
import re
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def installed(paths: Iterable[str]) -> dict[str, tuple[str, int]]:
    """Map canonical names to version and bytes, without bytecode."""
    found: dict[str, tuple[str, int]] = {}
    for distribution in importlib.metadata.distributions(path=list(paths)):
        files, name = distribution.files, distribution.metadata["Name"]
        if files is None or not name:  # broken, or not installed from a wheel
            continue
        size = sum(measure(file) for file in files if not str(file).endswith(".pyc"))
        found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), (distribution.version, size))
    return found


def measure(file: importlib.metadata.PackagePath) -> int:
    """Return the bytes of a file, from RECORD if it has them."""
    if file.size is not None:
        return int(file.size)
    try:
        return int(file.locate().stat().st_size)  # type: ignore[attr-defined]  # it is a Path
    except OSError:
        return 0


if __name__ == "__main__":
    sys.stdout.write(json.dumps(installed(sys.path)))
