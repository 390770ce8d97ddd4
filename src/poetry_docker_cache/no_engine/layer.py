"""Write a tree as an image layer: a tar archive, compressed with gzip.

The same tree gives the same bytes on every machine. zlib and zlib-ng compress differently, so no
library compresses here. A gzip file may have many members, one after the other. The deflate stream
of a file in a wheel becomes a member as it is. The rest is encoded by the code below.
"""

from __future__ import annotations

import functools
import hashlib
import re
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.registry.media_types import OCI_LAYER

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .tree import Content, Entry, Tree

VERSION = 1
"""Increase it when the same tree gets another digest."""
MEDIA_TYPE = f"{OCI_LAYER}+gzip"


@dataclass(frozen=True, kw_only=True)
class LayerBlob:
    """A layer that was written."""

    digest: str
    """Of the compressed archive: its name in a registry."""
    diff_id: str
    """Of the archive: its name in the image's configuration."""
    size: int
    media_type: str = MEDIA_TYPE


def write_layer(tree: Tree, out: BinaryIO) -> LayerBlob:
    """Write a tree as a layer.

    Raises DockerCacheError for content that is damaged or has changed. Part of the layer has been
    written then.
    """
    layer = _Layer(out)
    for entry in tree:
        layer.add(entry)
    return layer.close()


class _Layer:
    """A gzip file that is written member by member."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._compressed, self._archive = hashlib.sha256(), hashlib.sha256()
        self._size = 0
        self._pending = bytearray()

    def add(self, entry: Entry) -> None:
        self._encode(tar_header(entry))
        if entry.content:
            self._add_content(entry.content)
            self._encode(bytes(-entry.content.size % TAR_BLOCK))

    def close(self) -> LayerBlob:
        self._encode(bytes(2 * TAR_BLOCK))
        self._flush()
        return LayerBlob(
            digest=f"sha256:{self._compressed.hexdigest()}",
            diff_id=f"sha256:{self._archive.hexdigest()}",
            size=self._size,
        )

    def _add_content(self, content: Content) -> None:
        deflated = content.deflated()
        if deflated:
            self._flush()
            self._write(MEMBER_START)
            for raw, inflated in deflated.pieces:
                self._write(raw)
                self._archive.update(inflated)
            self._write(_member_end(deflated.crc, content.size))
        elif content.size <= ENCODED:
            self._encode(b"".join(_checked(content)))
        else:
            self._flush()
            self._store(content)

    def _store(self, content: Content) -> None:
        """Write a member with uncompressed blocks."""
        self._write(MEMBER_START)
        crc = 0
        for block in _blocks(_checked(content)):
            self._write(struct.pack("<BHH", 0, len(block), len(block) ^ 0xFFFF))
            self._write(block)
            self._archive.update(block)
            crc = zlib.crc32(block, crc)
        self._write(struct.pack("<BHH", 1, 0, 0xFFFF))  # the last block is an empty one
        self._write(_member_end(crc, content.size))

    def _encode(self, data: bytes) -> None:
        """Add to the next member with encoded data, so that there are few small members."""
        self._pending += data
        self._archive.update(data)
        if len(self._pending) > ENCODED:
            self._flush()

    def _flush(self) -> None:
        if self._pending:
            data = bytes(self._pending)
            self._pending.clear()
            end = _member_end(zlib.crc32(data), len(data))
            self._write(MEMBER_START + deflate_zeros(data) + end)

    def _write(self, data: bytes) -> None:
        self._out.write(data)
        self._compressed.update(data)
        self._size += len(data)


# gzip (RFC 1952)

MEMBER_START = bytes.fromhex("1f8b08000000000000ff")
"""Deflate, no name, no time, unknown system."""
ENCODED = 1 << 16
"""The largest content that is encoded, and about the largest encoded member."""
STORED = (1 << 16) - 1
"""The size of an uncompressed block."""


def _member_end(crc: int, size: int) -> bytes:
    return struct.pack("<II", crc, size & 0xFFFFFFFF)


def _checked(content: Content) -> Iterator[bytes]:
    """Yield the chunks of a content. The size is written before them, so it must be true."""
    size = 0
    for chunk in content.chunks():
        size += len(chunk)
        yield chunk
    if size != content.size:
        raise DockerCacheError("A file changed while the image was built.", fix="Build again.")


def _blocks(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Split content into blocks of a fixed size, whatever the sizes of its chunks."""
    rest = b""
    for chunk in chunks:
        rest += chunk
        full = len(rest) - len(rest) % STORED
        for start in range(0, full, STORED):
            yield rest[start : start + STORED]
        rest = rest[full:]
    if rest:
        yield rest


# deflate (RFC 1951), with one block of fixed codes. Tar headers are zeros for the most part, so
# only these are compressed. Bits are text here, in the order in which they are written.

ZEROS = re.compile(b"\0{4,}")
SHORTEST, LONGEST = 3, 258
"""The lengths that a repetition can have."""


def deflate_zeros(data: bytes) -> bytes:
    """Return a deflate stream in which only long runs of zeros are compressed."""
    bits = ["1", "10"]  # the last block, with fixed codes
    place = 0
    for run in ZEROS.finditer(data):
        bits += map(LITERALS.__getitem__, data[place : run.start()])
        bits.append(_zeros(run.end() - run.start()))
        place = run.end()
    bits += map(LITERALS.__getitem__, data[place:])
    bits.append(_code(END))
    text = "".join(bits)
    return int(text[::-1], 2).to_bytes((len(text) + 7) // 8, "little")


def _code(symbol: int) -> str:
    """Return the fixed code of a symbol."""
    for first, last, start, width in (
        (0, 143, 0b00110000, 8),
        (144, 255, 0b110010000, 9),
        (256, 279, 0b0000000, 7),
        (280, 287, 0b11000000, 8),
    ):
        if first <= symbol <= last:
            return f"{start + symbol - first:0{width}b}"
    raise ValueError(symbol)


@functools.cache
def _zeros(count: int) -> str:
    """Return the code of a zero, and of repetitions of it."""
    bits, left = LITERALS[0], count - 1
    while left >= SHORTEST:
        length = min(left, LONGEST)
        bits += _repetition(length)
        left -= length
    return bits + LITERALS[0] * left


def _repetition(length: int) -> str:
    """Return the code that repeats the last byte."""
    distance = "00000"
    if length == LONGEST:
        return _code(285) + distance
    symbol, first = 257, SHORTEST
    for width in (0, 0, 1, 2, 3, 4, 5):  # how many more bits four symbols have each
        for _ in range(4):
            if length < first + (1 << width):
                extra = f"{length - first:0{width}b}"[::-1] if width else ""
                return _code(symbol) + extra + distance
            symbol, first = symbol + 1, first + (1 << width)
    raise ValueError(length)


END = 256
LITERALS = [_code(byte) for byte in range(256)]


# tar (POSIX.1-2001): the old header, and a second one for what does not fit into it

TAR_BLOCK = 512
NAME = 100
"""The size of a name in the old header."""
FILE, LINK, FOLDER, EXTENDED = b"0", b"2", b"5", b"x"
WIDTHS = {"uid": 7, "gid": 7, "size": 11, "mtime": 11}
"""How many octal digits a number can have."""


def tar_header(entry: Entry) -> bytes:
    """Return all blocks of an archive that come before the content of an entry."""
    kind = LINK if entry.link is not None else FILE if entry.content else FOLDER
    texts = {"path": entry.path + "/" * entry.is_folder, "linkpath": entry.link or ""}
    numbers = {
        "uid": entry.uid,
        "gid": entry.gid,
        "size": entry.content.size if entry.content else 0,
        "mtime": entry.mtime,
    }
    large = {
        name: str(numbers[name]) for name, width in WIDTHS.items() if numbers[name] >> 3 * width
    }
    long = {name: text for name, text in texts.items() if len(text) > NAME or not text.isascii()}
    header = _old_header(
        texts["path"], entry.mode, {**numbers, **dict.fromkeys(large, 0)}, kind, texts["linkpath"]
    )
    records = b"".join(_record(*record) for record in sorted((large | long).items()))
    if not records:
        return header
    own = {"uid": 0, "gid": 0, "size": len(records), "mtime": 0}
    first = _old_header("././@PaxHeader", 0o644, own, EXTENDED, "")
    return first + records + bytes(-len(records) % TAR_BLOCK) + header


def _old_header(path: str, mode: int, numbers: dict[str, int], kind: bytes, link: str) -> bytes:
    uid, gid, size, mtime = (b"%0*o\0" % (WIDTHS[name], numbers[name]) for name in WIDTHS)
    start = struct.pack(
        "100s8s8s8s12s12s", _ascii(path), b"%07o\0" % (mode & 0o7777), uid, gid, size, mtime
    )
    end = struct.pack("1s100s6s2s", kind, _ascii(link), b"ustar", b"00").ljust(
        TAR_BLOCK - 156, b"\0"
    )
    checksum = sum(start) + sum(end) + 8 * ord(" ")
    return start + b"%06o\0 " % checksum + end


def _ascii(text: str) -> bytes:
    return text.encode("ascii", "replace")


def _record(key: str, value: str) -> bytes:
    """Return a record of a second header; its length counts its own digits."""
    text = f" {key}={value}\n".encode()
    size = len(text)
    while size != len(text) + len(str(size)):
        size = len(text) + len(str(size))
    return str(size).encode() + text
