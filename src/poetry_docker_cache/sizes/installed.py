"""How many bytes each installed distribution has: run by an image's Python too, so 3.9 must do."""

from __future__ import annotations

import importlib.metadata
import json
import re
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def installed(paths: Iterable[str]) -> dict[str, tuple[str, int]]:
    """Give version and bytes by canonical name, without what Python compiles by itself."""
    found: dict[str, tuple[str, int]] = {}
    for distribution in importlib.metadata.distributions(path=list(paths)):
        files, name = distribution.files, distribution.metadata["Name"]
        if files is None or not name:  # broken, or not installed from a wheel
            continue
        size = sum(measure(file) for file in files if not str(file).endswith(".pyc"))
        found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), (distribution.version, size))
    return found


def measure(file: importlib.metadata.PackagePath) -> int:
    """Give the bytes of a file, by RECORD if they stand there."""
    if file.size is not None:
        return int(file.size)
    try:
        return int(file.locate().stat().st_size)  # type: ignore[attr-defined]  # it is a Path
    except OSError:
        return 0


if __name__ == "__main__":
    sys.stdout.write(json.dumps(installed(sys.path)))
