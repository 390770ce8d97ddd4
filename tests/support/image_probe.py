"""Describes the content of an image from inside a container, with the standard library only."""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import json
import os
import shutil
import sys
from pathlib import Path

NAMES = ("pip", "setuptools", "poetry", "poetry.core", "acme_lint", "acme_docs")
LEFTOVERS = (
    *("/manifest", "/project", "/wheels", "/out", "/opt/poetry", "/opt/build", "/scripts"),
    *("/run/secrets", "/manifest.json", "/libraries.json", "/libraries", "/install"),
)


def can_write(folder: str) -> bool:
    """Return whether this user can create a file there."""
    path = Path(folder) / "probe-of-a-test"
    with contextlib.suppress(OSError):
        path.touch()
        path.unlink()
        return True
    return False


def main() -> None:
    """Print the description as JSON."""
    venv, home, folder = Path("/venv"), Path(os.environ["HOME"]), Path.cwd()
    every = [path for path in [venv, *venv.rglob("*")] if not path.is_symlink()]
    folders = {path for path in every if path.is_dir()} | {path.parent for path in every}
    files = [str(path) for path in every if path.is_file() and os.access(path, os.W_OK)]
    places = {"/", "/etc", "/usr", str(folder), *map(str, folders)}
    found = {
        "user": [os.getuid(), os.getgid()],
        "prefix": sys.prefix,
        "folder": str(folder),
        "home": [str(home), home.stat().st_uid, _listing(home), can_write(str(home))],
        "environment": dict(os.environ),
        "writable": sorted([*files, *(place for place in places if can_write(place))]),
        "owners": sorted({path.stat().st_uid for path in every}),
        "distributions": sorted(
            [found.metadata["Name"], found.version]
            for found in importlib.metadata.distributions(path=[_site(venv)])
        ),
        "importable": [name for name in NAMES if _has(name)],
        "commands": _listing(venv / "bin"),
        "compilers": [name for name in ("cc", "gcc", "g++", "make") if shutil.which(name)],
        "direct_url": [str(path) for path in venv.rglob("direct_url.json")],
        "bytecode": [str(path) for path in venv.rglob("*.pyc")],
        "apt": [path.name for path in Path("/var/lib/apt/lists").rglob("*") if path.is_file()],
        "leftovers": [place for place in LEFTOVERS if Path(place).exists()],
        "files": sorted(str(path.relative_to(folder)) for path in folder.rglob("*")),
    }
    sys.stdout.write(json.dumps(found))


def _listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def _site(venv: Path) -> str:
    return str(next(venv.glob("lib/python*/site-packages")))


def _has(name: str) -> bool:
    with contextlib.suppress(ModuleNotFoundError):
        return importlib.util.find_spec(name) is not None
    return False


main()
