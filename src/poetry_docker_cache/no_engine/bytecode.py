"""Compile the modules of a layer on this machine, to what the build on the base image makes.

The same module of the standard library compiles them, with the same options. Only the names in the
bytecode are those in the image. No code of a package runs.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.no_engine.image_files import HostFile
from poetry_docker_cache.no_engine.tree import Entry, Tree

_STATUSES = (0, 1)
"""Of the compiler: 1 if there are files that it cannot compile."""


def host_python() -> str:
    """Return the minor version of Python whose bytecode is made here: "3.13".

    The full version of a pre-release, since its bytecode is not final, and the name of a Python
    with bytecode of its own.
    """
    if sys.implementation.name != "cpython":
        return platform.python_implementation()
    is_final = sys.version_info.releaselevel == "final"
    return "{}.{}".format(*sys.version_info) if is_final else platform.python_version()


@dataclass(frozen=True, kw_only=True)
class Compiler:
    """Compiles with the Python that runs this code."""

    folder: Path
    """A private folder for the time of the build."""

    @property
    def tag(self) -> str:
        """What bytecode depends on besides the source.

        A newer patch version of Python may compile some modules to other bytes.
        """
        flags = getattr(sys, "abiflags", "")  # a free-threaded Python marks constants otherwise
        return f"{sys.implementation.cache_tag} {platform.python_version()}{flags}"

    def add_bytecode(self, tree: Tree, place: str, *, named: str) -> Tree:
        """Return a tree with the bytecode of the modules in the folder `place`.

        `named` is the name of this folder in the bytecode. Modules that do not compile are skipped,
        as in the build. Raises DockerCacheError.
        """
        try:
            top = Path(mkdtemp(prefix="bytecode-", dir=self.folder))
            sources = [path for entry in tree if (path := _write(entry, top))]
            if not (top / place).is_dir():
                return tree
            self._compile(top / place, named)
            for source in sources:
                source.unlink()
            made = {}
            for file in top.rglob("*.pyc"):
                name = file.relative_to(top).as_posix()
                content = HostFile(file, file.stat().st_size)
                made[name] = Entry(path=name, mode=0o644, mtime=tree.mtime, content=content)
        except OSError as error:
            raise DockerCacheError(
                f"The modules of a layer cannot be compiled here: {error}.",
                fix="Remove `compile` from [tool.poetry-docker-cache], or build with a container"
                " engine: `poetry docker build` without `--no-engine`.",
            ) from error
        kept = [entry for entry in tree if entry.path not in made]
        return Tree([*kept, *made.values()], mtime=tree.mtime)

    def _compile(self, place: Path, named: str) -> None:
        command = [sys.executable, "-s", "-S", "-m", "compileall", "-qq"]
        command += ["--invalidation-mode", "unchecked-hash", "-s", str(place), "-p", named]
        # As in `installed_files.compile_all`. In this folder, there are no modules to import.
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        done = subprocess.run(
            [*command, str(place)],
            cwd=self.folder,
            env={**kept, "PYTHONHASHSEED": "0", "PYTHONSAFEPATH": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )
        if done.returncode not in _STATUSES:
            raise OSError(f"{sys.executable} ended with status {done.returncode}")


def _write(entry: Entry, top: Path) -> Path | None:
    """Write a module below a folder, and return its path; None for another entry."""
    if entry.content is None or not entry.path.endswith(".py"):
        return None
    path = top / entry.path
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:  # fails if this file system ignores case, and names differ in it
        for chunk in entry.content.chunks():
            file.write(chunk)
    return path
