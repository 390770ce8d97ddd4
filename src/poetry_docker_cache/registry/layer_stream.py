"""Layers as streams of uncompressed tar archives, whatever their compression."""

from __future__ import annotations

import gzip
import importlib
import io
import posixpath
import tarfile
import zlib
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from poetry_docker_cache.errors import DockerCacheError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

BUFFER = 1 << 18
"""How many bytes are read at once."""
UNREADABLE = (tarfile.TarError, EOFError, OSError, zlib.error)
"""What reading a damaged layer raises."""
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"


class Chunks(io.RawIOBase):
    """A stream of chunks as a file."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks, self._rest = chunks, b""

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any, /) -> int:  # noqa: ANN401  # any buffer
        """Fill the buffer with what is left of a chunk, or the next one."""
        self._rest = self._rest or next(self._chunks, b"")
        size = min(len(buffer), len(self._rest))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        return size


def inflated(file: io.BufferedReader[Any], name: str) -> BinaryIO:
    """Return the archive in a layer of an image; `name` is the image, for messages.

    Raises DockerCacheError for a compression that this Python cannot read.
    """
    start = file.peek(len(_ZSTD))
    if start.startswith(_GZIP):
        return cast("BinaryIO", gzip.GzipFile(fileobj=file))
    if not start.startswith(_ZSTD):
        return cast("BinaryIO", file)
    try:
        zstd = importlib.import_module("compression.zstd")  # Python 3.14
    except ImportError as error:
        raise DockerCacheError(
            f"{name} has layers compressed with zstd, which this Python cannot read.",
            fix="Run Poetry with Python 3.14 or newer, or push the image with gzip.",
        ) from error
    return cast("BinaryIO", zstd.ZstdFile(file))


def members(file: IO[bytes]) -> Iterator[tuple[str, tarfile.TarInfo, tarfile.TarFile]]:
    """Yield the normal path of each member of a layer, and where its content can be read.

    Nothing outside the root is yielded. What follows the archive is read, too.
    """
    with tarfile.open(fileobj=file, mode="r|", bufsize=BUFFER) as archive:
        for member in archive:
            archive.members.clear()  # type: ignore[attr-defined]  # tarfile keeps all of them
            path = normal_path(member.name)
            if path not in ("", ".", "..") and not path.startswith("../"):
                yield path, member, archive
    while file.read(BUFFER):
        pass


def normal_path(name: str) -> str:
    """Return the path of a member below the root, without slashes at its ends."""
    return posixpath.normpath(name).lstrip("/")
