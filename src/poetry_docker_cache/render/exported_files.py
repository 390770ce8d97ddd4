"""The files that `export` writes: their banner, detecting manual changes, and writing them."""

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

from poetry_docker_cache.docker.dockerfile_syntax import EXPORT, GENERATED
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.system.full_disks import suggest_space

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

BAKE_FILE = "docker-bake.hcl"
_BANNER = f"""\
{GENERATED}{{options}}`: {{hint}}.
# Digest of the rest of this file: sha256:{{digest}}
"""
_HINT = "edit pyproject.toml and export again, not this file"
_FOUND = re.compile(
    "^"
    + _BANNER.replace(".", r"\.").format(
        options="(?: --[a-z-]+(?: [a-z]+)?)*",
        hint="[^\n]*",
        digest="(?P<digest>[0-9a-f]{64})",
    ),
    re.MULTILINE,
)


def dockerfile_name(image: str) -> str:
    """Return the name of an image's Dockerfile; the only image of a project has no name."""
    return f"{image}.Dockerfile" if image else "Dockerfile"


def with_banner(
    body: str,
    *,
    syntax: str | None = None,
    shebang: str = "",
    options: str = "",
    hint: str = _HINT,
) -> str:
    """Return the file's text: a line that has to be the first, the banner, and the body.

    `options` are those of `export` that write this file.
    """
    first = f"# syntax={syntax}\n" if syntax else shebang
    digest = _digest(first + body)
    return f"{first}{_BANNER.format(options=options, hint=hint, digest=digest)}{body}"


def is_ours(text: str) -> bool:
    """Return whether `export` wrote this text, unedited except for line endings."""
    text = text.replace("\r\n", "\n")
    match = _FOUND.search(text)
    return match is not None and _digest(text.replace(match[0], "", 1)) == match["digest"]


def is_foreign(path: Path) -> bool:
    """Return whether there is a file that was written or edited by hand."""
    found = _read(path)
    return found is not None and not is_ours(found)


def is_hand_written(path: Path) -> bool:
    """Return whether there is a file without the banner, which was never an export."""
    found = _read(path)
    return found is not None and not _FOUND.search(found.replace("\r\n", "\n"))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def difference(files: Mapping[Path, str], removed: Sequence[Path] = ()) -> str:
    """Return a unified diff from the files on disk to the new ones; empty if they are equal."""
    diff: list[str] = []
    for path, text in {**files, **dict.fromkeys(removed, "")}.items():
        found = _read(path) or ""
        diff += difflib.unified_diff(
            _lines(found.replace("\r\n", "\n")),
            _lines(text),
            fromfile=str(path),
            tofile=os.devnull if path in removed else f"{path} (as `{EXPORT}` writes it)",
        )
    # The marker of `diff` for a file without a final newline.
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in diff
    )


def _lines(text: str) -> list[str]:
    return io.StringIO(text, newline="\n").readlines()  # splitlines() ends them elsewhere too


def leftovers(folder: Path, files: Collection[Path]) -> list[Path]:
    """Return the exported scripts in a folder that are not among these files, sorted.

    Raises DockerCacheError for a file that `export` did not write: the build would copy it, too.
    """
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            continue
        if path in files or "__pycache__" in path.parts:
            continue
        if not _FOUND.search(_read(path) or ""):
            raise DockerCacheError(
                f"{path} was not written by `{EXPORT}`, but {folder.name} is reserved for its"
                " files. Nothing was changed.",
                fix="Move the file to another folder.",
            )
        found.append(path)
    return found


@contextlib.contextmanager
def writing(
    files: Mapping[Path, str],
    *,
    force: bool,
    mode: int | None = None,
    suggestions: Mapping[Path, str] = MappingProxyType({}),
    removed: Sequence[Path] = (),
) -> Iterator[None]:
    """Write all files and remove others when the block ends; change nothing if any step fails.

    A file keeps its mode unless one is given; missing folders are created. Raises DockerCacheError
    for a file that was written or edited by hand, with a fix from `suggestions`, and for one that
    cannot be written.
    """
    for path in (*files, *removed):
        if is_foreign(path) and not force:  # in this order, so that a device is always refused
            raise DockerCacheError(
                f"{path} was written or edited by hand. Nothing was changed.",
                fix=suggestions.get(
                    path, "Pass `--force` to replace it, or `-o PATH` to write elsewhere."
                ),
            )
    with contextlib.ExitStack() as stack:
        for folder in dict.fromkeys(path.parent for path in files):
            stack.enter_context(_made(folder))
        staged = [
            (stack.enter_context(_staged(path, text, mode)), path) for path, text in files.items()
        ]
        yield
        for temporary, path in staged:
            with _explained(path):
                temporary.replace(path.resolve())
        for path in removed:
            with _explained(path):
                path.unlink()


@contextlib.contextmanager
def _made(folder: Path) -> Iterator[None]:
    """Create a folder and its parents; remove those that are still empty at the end."""
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    with _explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        for place in made:
            with contextlib.suppress(OSError):
                place.rmdir()


def _read(path: Path) -> str | None:
    try:
        # A device: reading it could block, and root could replace it.
        if path.exists() and not path.is_file():
            raise DockerCacheError(
                f"{path} is not a regular file.",
                fix="Give `-o` the path of a file, or print with `-o -`.",
            )
        return path.read_bytes().decode("utf-8", errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DockerCacheError(
            f"{path} cannot be read: {error.strerror}.", fix="Give `-o` the path of a file."
        ) from error


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn an OSError while writing into a DockerCacheError."""
    try:
        yield
    except OSError as error:
        raise DockerCacheError(
            f"{path} cannot be written: {error.strerror} ({path.resolve().parent}).",
            fix=suggest_space(
                error, "Fix the permissions of the folder, or give `-o` another path."
            ),
        ) from error


@contextlib.contextmanager
def _staged(path: Path, text: str, mode: int | None) -> Iterator[Path]:
    """Write a temporary file beside `path`; remove it unless it was moved."""
    with contextlib.ExitStack() as stack:
        with _explained(path):
            handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.resolve().parent)
            temporary = Path(name)
            stack.callback(temporary.unlink, missing_ok=True)
            with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
                file.write(text)
            temporary.chmod(_mode(path) if mode is None else mode)
        yield temporary


def _mode(path: Path) -> int:
    """Return the mode of the file, or the default mode of a new file."""
    try:
        return path.stat().st_mode & 0o777
    except FileNotFoundError:
        umask = os.umask(0)
        os.umask(umask)
        return 0o666 & ~umask
