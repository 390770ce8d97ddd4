"""The files that `export` leaves in a project: their banner, whose they are, writing them."""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import io
import os
import re
import tempfile
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from poetry_docker_cache.errors import DockerCacheError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

EXPORT = "poetry docker export"
BAKE_FILE = "docker-bake.hcl"
_BANNER = """\
# Written by `{command}`: change pyproject.toml instead, and run it again.
# The rest of this file has the digest sha256:{digest}.
"""
_FOUND = re.compile(
    "^"
    + _BANNER.replace(".", r"\.").format(
        command=rf"{EXPORT}(?: --ci [a-z]+| --bake)?", digest="(?P<digest>[0-9a-f]{64})"
    ),
    re.MULTILINE,
)


def dockerfile_name(image: str) -> str:
    """Where the Dockerfile of one of several images is; no name is that of the only one."""
    return f"{image}.Dockerfile" if image else "Dockerfile"


def with_banner(
    body: str, *, syntax: str | None = None, shebang: str = "", command: str = EXPORT
) -> str:
    """The file's text: the line that is read nowhere but first, then whose it is."""
    first = f"# syntax={syntax}\n" if syntax else shebang
    return f"{first}{_BANNER.format(command=command, digest=_digest(first + body))}{body}"


def is_ours(text: str) -> bool:
    """Whether `export` wrote it and nobody has edited it since (line endings may differ)."""
    text = text.replace("\r\n", "\n")
    match = _FOUND.search(text)
    return match is not None and _digest(text.replace(match[0], "", 1)) == match["digest"]


def is_foreign(path: Path) -> bool:
    """Whether there is a file that `export` did not write, or that somebody has edited since."""
    found = _read(path)
    return found is not None and not is_ours(found)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def difference(files: Mapping[Path, str]) -> str:
    """A unified diff from what is on disk to what would be written; empty when they agree."""
    diff: list[str] = []
    for path, text in files.items():
        found = _read(path) or ""
        diff += difflib.unified_diff(
            _lines(found.replace("\r\n", "\n")),
            _lines(text),
            fromfile=str(path),
            tofile=f"{path} (as `poetry docker export` writes it)",
        )
    # As `diff` tells that the file on disk ends within a line, where both lines would run together.
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in diff
    )


def _lines(text: str) -> list[str]:
    return io.StringIO(text, newline="\n").readlines()  # splitlines() ends them elsewhere too


@contextlib.contextmanager
def writing(
    files: Mapping[Path, str],
    *,
    force: bool,
    mode: int | None = None,
    instead: Mapping[Path, str] = MappingProxyType({}),
) -> Iterator[None]:
    """Write all of the files when the block ends; none when it, or any of them, fails.

    A file keeps its mode unless one is given. Raises DockerCacheError when one belongs to somebody
    else, for which `instead` says what to type, or cannot be written.
    """
    for path in files:
        if is_foreign(path) and not force:  # in this order: a device is refused either way
            raise DockerCacheError(
                f"{path} exists, and `poetry docker export` did not write it as it is now: it was"
                " written or edited by hand. Nothing was changed.",
                fix=instead.get(
                    path, "Pass `--force` to replace it, or `-o PATH` to write elsewhere."
                ),
            )
    with contextlib.ExitStack() as stack:
        staged = [
            (stack.enter_context(_staged(path, text, mode)), path) for path, text in files.items()
        ]
        yield
        for temporary, path in staged:
            with _told(path):
                temporary.replace(path.resolve())


def _read(path: Path) -> str | None:
    try:
        # A device, which reading could block on, and which root could replace.
        if path.exists() and not path.is_file():
            raise DockerCacheError(
                f"{path} is not a regular file: it cannot be read and replaced.",
                fix="Give `-o` the path of a file; `-o -` prints what would be written.",
            )
        return path.read_bytes().decode("utf-8", errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DockerCacheError(
            f"{path} cannot be read: {error.strerror}.", fix="Give `-o` the path of a file."
        ) from error


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn a failure to write into an error that says what to do."""
    try:
        yield
    except OSError as error:
        raise DockerCacheError(
            f"{path} cannot be written: {error.strerror} ({path.resolve().parent}).",
            fix="Make the folder, or its permissions, fit; or give `-o` another path.",
        ) from error


@contextlib.contextmanager
def _staged(path: Path, text: str, mode: int | None) -> Iterator[Path]:
    """A complete temporary file beside `path`; removed, unless it was moved."""
    with contextlib.ExitStack() as stack:
        with _told(path):
            handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.resolve().parent)
            temporary = Path(name)
            stack.callback(temporary.unlink, missing_ok=True)
            with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
                file.write(text)
            temporary.chmod(_mode(path) if mode is None else mode)
        yield temporary


def _mode(path: Path) -> int:
    """The mode that the file has, or that any new file gets from the umask."""
    try:
        return path.stat().st_mode & 0o777
    except FileNotFoundError:
        umask = os.umask(0)
        os.umask(umask)
        return 0o666 & ~umask
