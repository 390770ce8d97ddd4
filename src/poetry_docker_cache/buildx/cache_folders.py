"""Folders with BuildKit's local cache (an OCI image layout): read if complete, replaced at once.

BuildKit only adds to such a folder, reads blobs until the build ends, and leaves an incomplete
export when it is stopped. So each build gets a private copy inside the folder, made of hard links:
they take no space, and stay valid when another build replaces the originals. BuildKit reads and
writes the copy. After a successful build its blobs are moved to the folder, its index replaces the
folder's with one rename, and blobs that are not in the new index are removed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.system.compat import exists, is_folder
from poetry_docker_cache.system.folder_locks import lock, waiting

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

INDEX = "index.json"
LAYOUT = "oci-layout"
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_CHUNK = 2**20
_LARGEST_DOCUMENT = 2**26


class Damaged(Exception):  # noqa: N818  # a reason, which callers put into a sentence
    """The reason why a folder is not a complete cache."""


def blob(folder: Path, name: str) -> Path:
    """Return the path of a blob; its name is the digest without `sha256:`."""
    return folder / "blobs" / "sha256" / name


def survey(folder: Path, *, bytes_too: bool = True) -> frozenset[str]:
    """Return the names of all blobs that the index refers to.

    Raises Damaged if a blob is missing or has the wrong size or, with `bytes_too`, the wrong
    content. BuildKit checks a blob only when it needs it, and a wrong one then fails the build.
    """
    found: set[str] = set()
    waiting = _children(_document(folder / INDEX))
    while waiting:
        descriptor = waiting.pop()
        name = _name(descriptor)
        if name in found:
            continue
        found.add(name)
        path = blob(folder, name)
        _check(path, name, descriptor.get("size"), bytes_too=bytes_too)
        if re.search(r"manifest|index", str(descriptor.get("mediaType", ""))):
            waiting += _children(_document(path))
    return frozenset(found)


def _check(path: Path, name: str, size: object, *, bytes_too: bool) -> None:
    try:
        if not path.is_file():
            raise Damaged(f"a blob is missing ({name[:12]}…)")
        if path.stat().st_size != size:
            raise Damaged(f"a blob is cut short ({name[:12]}…)")
        if bytes_too and _sha256(path) != name:
            raise Damaged(f"a blob has the wrong content ({name[:12]}…)")
    except OSError as error:
        raise Damaged(f"a blob cannot be read ({error.strerror})") from error


def _document(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _LARGEST_DOCUMENT:
            raise Damaged(f"{path.name} is too large")
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise Damaged(f"{path.name} cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise Damaged(f"{path.name} is not JSON") from error
    if not isinstance(content, dict):
        raise Damaged(f"{path.name} is not an index")
    return content


def _children(document: dict[str, Any]) -> list[dict[str, Any]]:
    several = [document.get("manifests") or [], document.get("layers") or []]
    several.append([document["config"]] if document.get("config") else [])
    if not all(isinstance(items, list) for items in several):
        raise Damaged("an index is not valid")
    found = [item for items in several for item in items]
    if not found or not all(isinstance(item, dict) for item in found):
        raise Damaged("an index is empty")
    return found


def _name(descriptor: dict[str, Any]) -> str:
    match = _DIGEST.fullmatch(str(descriptor.get("digest", "")))
    if not match:
        raise Damaged("an index has a digest other than sha256")
    return match[1]


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


IMAGE = "image.tar"
"""The file with an image that the classic image store loads and saves (`cache_images`)."""
_PREFIX = ".poetry-docker-cache-"
_OURS = re.compile(r"\.poetry-docker-cache-[0-9a-f]{16}")
_OF_A_CACHE = re.compile(
    rf"{_OURS.pattern}|index\.json(\.lock)?|oci-layout|blobs|ingest|image\.tar|CACHEDIR\.TAG|\.DS_Store|lost\+found|\.git.*|\.image\.tar\..*"
)


@dataclass
class OpenFolder:
    """A cache folder during one build."""

    path: Path
    source: Path | None = None
    """What BuildKit reads; None if there is no usable cache."""
    target: Path | None = None
    """What BuildKit writes; None to write nothing."""
    notes: list[str] = field(default_factory=list)

    def publish(self) -> str | None:
        """Replace the old cache with the new one; return a note if that fails."""
        if self.target is None:
            return None
        try:
            with waiting(self.path):
                _replace(self.target, self.path)
        except Damaged as damaged:
            return f"The cache folder {self.path} was left unchanged: {damaged}."
        except OSError as error:
            return f"The cache folder {self.path} was not written: {error.strerror}."
        return None


def refuse_foreign(folder: Path, context: Path) -> None:
    """Raise DockerCacheError for a folder that contains anything but a cache."""
    if folder == context or folder in context.parents:
        raise DockerCacheError(
            f"The cache folder {folder} contains the project.",
            fix="Choose a separate folder, such as ./.buildcache.",
        )
    if exists(folder) and not is_folder(folder):
        raise DockerCacheError(
            f"The cache folder {folder} is a file.", fix="Choose a folder, or remove the file."
        )
    foreign = sorted(name for name in _names(folder) if not _OF_A_CACHE.fullmatch(name))
    if foreign:
        raise DockerCacheError(
            f"The cache folder {folder} contains other files ({foreign[0]}): refusing to modify a "
            "folder that is not a cache.",
            fix="Choose a separate folder, such as ./.buildcache.",
        )


@contextlib.contextmanager
def opened(path: Path, *, reads: bool, writes: bool) -> Iterator[OpenFolder]:
    """Make a private copy of the folder; remove it however the block ends."""
    found = OpenFolder(path)
    _sweep(path)
    with contextlib.ExitStack() as stack:
        if writes or exists(path):
            private = _make_private(path, stack, found, needed=writes)
            if writes:
                found.target = private
            if reads:
                found.source = _snapshot(path, private, found.notes)
        yield found


def _make_private(
    path: Path, stack: contextlib.ExitStack, found: OpenFolder, *, needed: bool
) -> Path | None:
    """Make a private folder inside, locked to show other builds that it is in use."""
    private = path / f"{_PREFIX}{secrets.token_hex(8)}"
    try:
        new = not path.exists()
        path.mkdir(parents=True, exist_ok=True)
        if new:
            stack.callback(_remove_empty, path)
        stack.callback(shutil.rmtree, private, ignore_errors=True)
        with waiting(path):  # so that no other build removes it before it is locked
            private.mkdir(mode=0o700)
            with contextlib.suppress(OSError):
                descriptor = lock(private)
                if descriptor is not None:
                    stack.callback(os.close, descriptor)
    except OSError as error:
        if needed:
            found.notes.append(
                f"The cache folder {path} cannot be written: {error.strerror}. No cache is written."
            )
        return None
    return private


def _snapshot(path: Path, private: Path | None, notes: list[str]) -> Path | None:
    """Link a complete cache into the private folder; return the folder itself without links."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # no permission to lock: read it without
            stack.enter_context(waiting(path))
        if not any(name in (INDEX, "blobs") for name in _names(path)):
            return None
        try:
            names = survey(path)
        except Damaged as damaged:
            notes.append(
                f"The cache folder {path} is not read: {damaged}. The build starts without it."
            )
            return None
        if private is None:
            return path
        try:
            blob(private, "").mkdir(parents=True)
            for name in names:
                os.link(blob(path, name), blob(private, name))
            for name in (LAYOUT, INDEX):
                if (path / name).exists():
                    shutil.copyfile(path / name, private / name)
        except OSError:  # no hard links on this file system, or not to files of another user
            for leftover in private.iterdir():
                _remove(leftover)
            return path
        return private


def _replace(private: Path, path: Path) -> None:
    """Move a complete cache into place, so that the folder's index is valid at every moment."""
    if not (private / INDEX).exists():
        raise Damaged("BuildKit has written no cache")
    names = survey(private, bytes_too=False)
    blob(path, "").mkdir(parents=True, exist_ok=True)
    for name in names:
        blob(private, name).replace(blob(path, name))
    for name in (LAYOUT, INDEX):
        if (private / name).exists():
            (private / name).replace(path / name)
    for name in _names(blob(path, "")):
        if name not in names:
            _remove(blob(path, name))
    _remove(path / "ingest")


def _sweep(path: Path) -> None:
    """Remove the private folders of killed builds."""
    with contextlib.suppress(OSError), waiting(path):
        for name in filter(_OURS.fullmatch, _names(path)):
            with contextlib.suppress(OSError):
                descriptor = lock(path / name)  # raises if its build is running
                if descriptor is not None:
                    shutil.rmtree(path / name)
                    os.close(descriptor)


def _names(folder: Path) -> list[str]:
    try:
        return [entry.name for entry in folder.iterdir()]
    except OSError:
        return []


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


def _remove_empty(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.rmdir()
