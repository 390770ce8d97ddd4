"""Write ELF files, for any machine, that contain only what the dynamic loader reads."""

from __future__ import annotations

import struct
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_ADDRESS = 0x400000
"""The address in memory, which differs from the offset in the file."""


def own_machine() -> int:
    """Return the ELF number of this machine's architecture."""
    (number,) = struct.unpack_from("=H", Path(sys.executable).resolve().read_bytes(), 18)
    return int(number)


def make_elf(  # noqa: PLR0913  # what a file may say
    path: Path,
    *,
    needed: Sequence[str] = (),
    versions: Mapping[str, Sequence[str]] | None = None,
    paths: str = "",
    order: str = "<",
    machine: int | None = None,
    bits: int = 64,
) -> Path:
    """Write a file with these libraries, the versions of some, and a RUNPATH."""
    strings = b"\0"

    def text(value: str) -> int:
        nonlocal strings
        strings += value.encode() + b"\0"
        return len(strings) - len(value.encode()) - 1

    entries = [(1, text(name)) for name in needed]
    entries += [(29, text(paths))] if paths else []
    records = b""
    wanted = list((versions or {}).items())
    for number, (library, names) in enumerate(wanted):
        behind = 16 + 16 * len(names) if number + 1 < len(wanted) else 0
        records += struct.pack(order + "HHIII", 1, len(names), text(library), 16, behind)
        for place, name in enumerate(names):
            more = 16 if place + 1 < len(names) else 0
            records += struct.pack(order + "IHHII", 0, 0, 0, text(name), more)
    word, head, entry = ("Q", 64, 56) if bits == 64 else ("I", 52, 32)
    start = head + 2 * entry
    entries += [(5, _ADDRESS + start + len(records))]
    entries += [(0x6FFFFFFE, _ADDRESS + start), (0x6FFFFFFF, len(wanted))] if wanted else []
    dynamic = b"".join(struct.pack(order + 2 * word, *pair) for pair in [*entries, (0, 0)])
    at = start + len(records) + len(strings)
    size = at + len(dynamic)
    ident = (
        b"\x7fELF"
        + bytes([bits // 32])
        + (b"\x01" if order == "<" else b"\x02")
        + b"\x01"
        + bytes(9)
    )
    machine = own_machine() if machine is None else machine
    numbers = (3, machine, 1, 0, head, 0, 0, head, entry, 2, 0, 0, 0)
    header = struct.pack(f"{order}HHI{3 * word}IHHHHHH", *numbers)

    def segment(kind: int, offset: int, length: int, align: int) -> bytes:
        address = _ADDRESS + offset
        if word == "Q":
            where = (kind, 4, offset, address, address, length, length, align)
            return struct.pack(order + "IIQQQQQQ", *where)
        where = (kind, offset, address, address, length, length, 4, align)
        return struct.pack(order + "IIIIIIII", *where)

    whole, part = segment(1, 0, size, 4096), segment(2, at, len(dynamic), 8)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(ident + header + whole + part + records + strings + dynamic)
    return path
