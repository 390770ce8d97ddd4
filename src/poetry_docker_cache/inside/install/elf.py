"""Read which shared libraries a compiled file (ELF) needs, without running it."""

from __future__ import annotations

import mmap
import struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import IO

# The names of the ELF specification and of glibc's elf.h.
_PT_LOAD, _PT_DYNAMIC = 1, 2
_DT_NULL, _DT_NEEDED, _DT_STRTAB, _DT_RPATH, _DT_RUNPATH = 0, 1, 5, 15, 29
_DT_VERNEED, _DT_VERNEEDNUM = 0x6FFFFFFE, 0x6FFFFFFF
_ORDERS = {b"\x01": "<", b"\x02": ">"}


class _Layout(NamedTuple):
    """Offsets and `struct` formats of the fields that are read, for 32 or 64 bits."""

    start: tuple[str, int]
    counts: int
    segment: str
    order: tuple[int, int, int, int]
    """The positions of kind, offset, address and size in a segment's entry."""
    entry: str


_LAYOUTS = {
    b"\x01": _Layout(("I", 28), 42, "IIIII", (0, 1, 2, 4), "II"),
    b"\x02": _Layout(("Q", 32), 54, "IIQQQQ", (0, 2, 3, 5), "QQ"),
}


class Elf(NamedTuple):
    """The contents of the header and the dynamic section."""

    machine: int
    """The number of the processor's architecture."""
    needed: tuple[str, ...]
    versions: tuple[tuple[str, str], ...]
    """Pairs of a library and a version that it must define."""
    paths: tuple[str, ...]
    """Folders that the loader searches first; `$ORIGIN` is the folder of the file."""


def read(path: Path) -> Elf | None:
    """Read an ELF file; return None for a damaged file, or one of another kind."""
    try:
        with path.open("rb") as file:
            return read_open(file)
    except OSError:
        return None


def read_open(file: IO[bytes]) -> Elf | None:
    """Read an open file from its beginning, as `read` does."""
    try:
        if file.read(4) != b"\x7fELF":
            return None
        # A library may have gigabytes, but only a few pages are read.
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _Reader(data).elf()
    except (OSError, ValueError, OverflowError, struct.error):
        return None


class _Reader:
    def __init__(self, data: mmap.mmap) -> None:
        self.data = data
        if data[4:5] not in _LAYOUTS or data[5:6] not in _ORDERS:
            raise ValueError("unknown word length or byte order")
        self.layout = _LAYOUTS[data[4:5]]
        self.order = _ORDERS[data[5:6]]

    def elf(self) -> Elf:
        (machine,) = self._numbers("H", 18)
        self.segments = list(self._segments())
        entries = list(self._dynamic())
        table = dict(entries)
        strings = self._offset(table[_DT_STRTAB]) if _DT_STRTAB in table else 0
        found = {
            tag: tuple(self._text(strings + value) for key, value in entries if key == tag)
            for tag in (_DT_NEEDED, _DT_RPATH, _DT_RUNPATH)
        }
        folders = ":".join(found[_DT_RUNPATH] or found[_DT_RPATH]).split(":")
        versions = self._versions(table, strings) if _DT_VERNEED in table else ()
        return Elf(
            machine=machine,
            needed=found[_DT_NEEDED],
            versions=tuple(versions),
            paths=tuple(folder for folder in folders if folder),
        )

    def _segments(self) -> Iterator[tuple[int, int, int, int]]:
        """Yield kind, offset, address and size of each segment."""
        (start,) = self._numbers(*self.layout.start)
        size, count = self._numbers("HH", self.layout.counts)
        for header in range(start, start + size * count, size or 1):
            numbers = self._numbers(self.layout.segment, header)
            kind, offset, address, length = (numbers[index] for index in self.layout.order)
            yield kind, offset, address, length

    def _dynamic(self) -> Iterator[tuple[int, int]]:
        """Yield tag and value of each entry of the dynamic section."""
        size = struct.calcsize(self.order + self.layout.entry)
        for kind, start, _, length in self.segments:
            for offset in range(start, start + length, size) if kind == _PT_DYNAMIC else ():
                tag, value = self._numbers(self.layout.entry, offset)
                if tag == _DT_NULL:
                    return
                yield tag, value

    def _versions(self, table: dict[int, int], strings: int) -> Iterator[tuple[str, str]]:
        library = self._offset(table[_DT_VERNEED])
        for _ in range(table.get(_DT_VERNEEDNUM, 0)):
            _, count, name, first, next_library = self._numbers("HHIII", library)
            version = library + first
            for _ in range(count):
                _, _, _, text, next_version = self._numbers("IHHII", version)
                yield self._text(strings + name), self._text(strings + text)
                version += next_version
            if not next_library:
                return
            library += next_library

    def _offset(self, address: int) -> int:
        """Return the position in the file of what is loaded to an address in memory."""
        for kind, offset, start, length in self.segments:
            if kind == _PT_LOAD and start <= address < start + length:
                return address - start + offset
        raise ValueError("address outside of the file")

    def _numbers(self, form: str, offset: int) -> tuple[int, ...]:
        return struct.unpack_from(self.order + form, self.data, offset)

    def _text(self, offset: int) -> str:
        end = self.data.find(b"\0", offset)
        if end < 0:
            raise ValueError("string without an end")
        return self.data[offset:end].decode()
