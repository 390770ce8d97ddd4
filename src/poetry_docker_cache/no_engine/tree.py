"""The files, folders and links of an image layer, as data."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from poetry_docker_cache.errors import DockerCacheError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

FOLDER_MODE = 0o755


class Deflated(NamedTuple):
    """The content of a file as a raw deflate stream that exists already."""

    crc: int
    pieces: Iterator[tuple[bytes, bytes]]
    """Pieces of the stream, each with what it inflates to; either of them may be empty.

    The iterator raises DockerCacheError at its end if the content is not the expected one.
    """


class Content(Protocol):
    """What a file contains. All pieces are small enough for memory."""

    @property
    def size(self) -> int:
        """The number of bytes."""

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes in pieces."""

    def deflated(self) -> Deflated | None:
        """Return the deflate stream if the content has one."""


@dataclass(frozen=True)
class Bytes:
    """A small content, in memory."""

    data: bytes

    @property
    def size(self) -> int:
        """The number of bytes."""
        return len(self.data)

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes."""
        yield self.data

    def deflated(self) -> None:
        """Return None: there is no stream."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A file with `content`, a symlink with `link`, or a folder with neither."""

    path: str
    """Below the root, without a slash at the start or the end."""
    mode: int
    mtime: int
    uid: int = 0
    gid: int = 0
    content: Content | None = None
    link: str | None = None

    @property
    def is_folder(self) -> bool:
        """Whether this is a folder."""
        return self.content is None and self.link is None


class Tree:
    """Entries by path. Iteration is sorted, with each folder before what it contains.

    A folder that was not added has the mode 0755, belongs to root and has the time `mtime`.
    """

    def __init__(self, entries: Iterable[Entry] = (), *, mtime: int) -> None:
        self.mtime = mtime
        self._entries: dict[str, Entry] = {}
        self._explicit: set[str] = set()
        for entry in entries:
            self.add(entry)

    def add(self, entry: Entry) -> None:
        """Add an entry and its parent folders.

        Raises DockerCacheError if the path is taken, lies below a file, or is not a normal one.
        """
        path = entry.path
        if not _is_normal(path):
            raise DockerCacheError(f"An image cannot contain the path {path!r}.")
        found = self._entries.get(path)
        if found and (path in self._explicit or not entry.is_folder):
            what = "a folder" if found.is_folder else "a file"
            raise DockerCacheError(f"/{path} is already {what} in the image.")
        self._add_folder(posixpath.dirname(path))
        self._entries[path] = entry
        self._explicit.add(path)

    def _add_folder(self, path: str) -> None:
        found = self._entries.get(path)
        if found and not found.is_folder:
            raise DockerCacheError(f"/{path} is already a file in the image, not a folder.")
        if path and not found:
            self._add_folder(posixpath.dirname(path))
            self._entries[path] = Entry(path=path, mode=FOLDER_MODE, mtime=self.mtime)

    def __iter__(self) -> Iterator[Entry]:
        return iter([self._entries[path] for path in sorted(self._entries)])

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, path: str) -> Entry | None:
        """Return the entry at a path."""
        return self._entries.get(path)


def _is_normal(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in path and {"", ".", ".."}.isdisjoint(path.split("/"))
