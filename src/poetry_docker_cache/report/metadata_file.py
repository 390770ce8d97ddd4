"""The metadata file of a build, for scripts: buildx's metadata with the summary added."""

from __future__ import annotations

import json
import os
import shlex
import stat
from pathlib import Path
from typing import Any

from poetry_docker_cache.buildx.command_line import METADATA_OPTION
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.system.compat import is_folder, real_path
from poetry_docker_cache.system.private_files import put

_MODE = 0o666


def refuse_unwritable(path: str, option: str = METADATA_OPTION) -> None:
    """Raise DockerCacheError before the build if the file cannot be written after it."""
    folder = os.path.dirname(path) or "."  # noqa: PTH120  # Path() makes `.` of an empty path
    if not path or is_folder(path):
        raise DockerCacheError(
            f"{option} {path} is a folder." if path else f"{option} is empty.",
            fix=f"Give {option} the path of a file.",
        )
    if not is_folder(folder):
        raise DockerCacheError(
            f"{path} cannot be written: the folder {folder} does not exist.",
            fix=f"Create it (mkdir -p {shlex.quote(folder)}) or choose another file.",
        )
    try:
        os.lstat(path)
    except FileNotFoundError:
        pass
    except OSError as error:  # a name that is too long
        raise DockerCacheError(
            f"{path} cannot be written: {error.strerror}.",
            fix="Choose another file.",
        ) from error
    # A file is replaced by a new one; a device (/dev/stdout) is written to.
    if not os.access(folder if _replaceable(Path(path)) else path, os.W_OK):
        raise DockerCacheError(
            f"{path} cannot be written: permission denied.",
            fix="Choose a file in a folder that you can write to.",
        )


def _replaceable(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return True


def read(path: Path) -> dict[str, Any]:
    """Read buildx's metadata; empty if the file is missing or not valid."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write(path: Path, data: dict[str, Any]) -> None:
    """Write the file completely or not at all."""
    text = json.dumps(data, indent=2) + "\n"
    try:
        if not _replaceable(path):
            path.write_text(text, encoding="utf-8")
            return
        target = real_path(path)
        put(target, text, _MODE)
    except OSError as error:
        raise DockerCacheError(
            f"{path} cannot be written: {error.strerror}. The image was built.",
            fix=f"Free some space, or choose another file with {METADATA_OPTION}.",
        ) from error
