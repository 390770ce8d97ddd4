"""Read wheels as the files that they install. Nothing is unpacked, and no code of a package runs.

Where a wheel's files go is decided by `inside.install.wheel_tree`, as in a build with an engine.
Here, their content stays in the wheel until the layer is written.
"""

from __future__ import annotations

import hashlib
import re
import zipfile
import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.inside.install import installed_files, wheel_tree

from .tree import Bytes, Content, Deflated, Entry, Tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

PIECE = 1 << 16
"""How many bytes of a wheel are read at once."""
INFLATED = 1 << 20
"""How many bytes are inflated at once: a small file can inflate to gigabytes."""
METHODS = {zipfile.ZIP_STORED: "stored", zipfile.ZIP_DEFLATED: "deflated"}
ENCRYPTED, UTF_8 = 0x1, 0x800
"""Flags of a file in a zip archive."""
HEADER = 30
"""The size of the header of a file, without its name."""
SHA256 = re.compile(r"(sha256=[\w-]{43})=?", re.ASCII)
FIX = "Lock another version of the package, or build the image without `--no-engine`."


@dataclass(frozen=True, kw_only=True)
class Place:
    """The virtual environment that wheels are installed into."""

    python: str
    """The minor version, as in the name of its folder: "3.13"."""
    prefix: str = "/venv"

    @property
    def packages(self) -> str:
        """The folder of the packages in the environment."""
        return f"lib/python{self.python}/site-packages"

    def path(self, name: str) -> str:
        """Return the path of a file of the environment, below the root."""
        return f"{self.prefix}/{name}".lstrip("/")


@dataclass(frozen=True, kw_only=True)
class Member:
    """A file in a wheel, as content of a file in a layer."""

    wheel: Path
    name: str
    header: int
    """Where its header begins in the wheel."""
    raw_name: bytes
    method: int
    packed: int
    size: int
    crc: int
    hash: str = ""
    """What RECORD says: "sha256=…", or "" if that is not checked."""

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes in pieces; raise DockerCacheError at the end if they are wrong."""
        return (inflated for _, inflated in self._pieces() if inflated)

    def deflated(self) -> Deflated | None:
        """Return the deflate stream as it is in the wheel."""
        deflated = self.method == zipfile.ZIP_DEFLATED
        return Deflated(self.crc, self._pieces()) if deflated else None

    def _pieces(self) -> Iterator[tuple[bytes, bytes]]:
        try:
            yield from self._checked_pieces()
        except wheel_tree.FAILURES as error:
            raise unusable(self.wheel, f"{self.name}: {error}") from error

    def _checked_pieces(self) -> Iterator[tuple[bytes, bytes]]:
        crc, size, digest = 0, 0, hashlib.sha256()
        for raw, inflated in self._inflate():
            crc, size = zlib.crc32(inflated, crc), size + len(inflated)
            digest.update(inflated)
            if size > self.size:
                break
            yield raw, inflated
        if size != self.size:
            raise ValueError("its size differs from the one in the wheel's directory")
        if crc != self.crc:
            raise ValueError("its content does not match its checksum")
        if self.hash and wheel_tree.format_hash(digest.digest()) != self.hash:
            raise ValueError("its content does not match its hash in RECORD")

    def _inflate(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield pieces of the wheel, and what they inflate to."""
        if self.method == zipfile.ZIP_STORED:
            yield from ((raw, raw) for raw in self._read())
            return
        stream = zlib.decompressobj(-zlib.MAX_WBITS)
        for piece in self._read():
            raw, rest = piece, piece
            while rest and not stream.eof:
                inflated = stream.decompress(rest, INFLATED)
                rest = stream.unconsumed_tail
                yield raw, inflated
                raw = b""
            if stream.unused_data or raw:
                raise ValueError("there is data after its end")
        # The decompressor may hold output even when its input is used up.
        while not stream.eof and (inflated := stream.decompress(b"", INFLATED)):
            yield b"", inflated
        if not stream.eof:
            raise ValueError("its data is incomplete")

    def _read(self) -> Iterator[bytes]:
        """Yield the data of the member from the wheel."""
        with self.wheel.open("rb", buffering=0) as file:
            file.seek(self.header)
            header = file.read(HEADER + len(self.raw_name))
            name = header[HEADER:]
            if header[:4] != b"PK\3\4" or name != self.raw_name:
                raise ValueError("its header does not match the table of contents")
            extra = int.from_bytes(header[28:30], "little")
            file.seek(extra, 1)
            left = self.packed
            while left and (piece := file.read(min(left, PIECE))):
                left -= len(piece)
                yield piece
            if left:
                raise ValueError("its data is incomplete")


@dataclass(frozen=True, kw_only=True)
class Script:
    """A script from a wheel, with another first line."""

    first_line: bytes
    member: Member
    skipped: int
    """The size of the first line in the wheel."""

    @property
    def size(self) -> int:
        """The number of bytes."""
        return len(self.first_line) + self.member.size - self.skipped

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes in pieces."""
        yield self.first_line
        skip = self.skipped
        for chunk in self.member.chunks():
            yield chunk[skip:]
            skip = max(0, skip - len(chunk))

    def deflated(self) -> None:
        """Return None: the stream in the wheel has the old line."""


class Installed(NamedTuple):
    """What one wheel installs."""

    info: str
    """The name of its `*.dist-info` folder."""
    record: bytes
    """The content of RECORD there."""
    files: dict[str, tuple[int, Content]]
    """The mode and the content of each file, by its path in the environment."""


def tree_of_wheels(
    wheels: Iterable[Path], place: Place, origins: Mapping[str, str] | None = None
) -> Tree:
    """Return the files of wheels in an environment, as a build with an engine installs them.

    If wheels have files of the same path, the last one by file name stays, in whatever order they
    are given. `origins` has the text of `direct_url.json` for wheels from a URL, by file name.
    Contents are checked when they are read: the hashes in the wheels' RECORD files are
    relied on here. Raises DockerCacheError for a wheel that cannot be installed.
    """
    files: dict[str, tuple[int, Content]] = {}
    owners: dict[str, Path] = {}
    records = {}
    for wheel in sorted(wheels, key=lambda path: path.name):
        installed = read_wheel(wheel, place, (origins or {}).get(wheel.name, ""))
        records[installed.info] = installed.record
        files.update(installed.files)
        owners.update(dict.fromkeys(installed.files, wheel))
    tree = Tree(mtime=installed_files.time_of(records[info] for info in sorted(records)))
    for path in sorted(files):
        mode, content = files[path]
        entry = Entry(path=place.path(path), mode=mode, mtime=tree.mtime, content=content)
        try:
            tree.add(entry)
        except DockerCacheError as error:
            raise unusable(owners[path], error.problem) from error
    return tree


def read_wheel(wheel: Path, place: Place, origin: str = "") -> Installed:
    """Return what a wheel installs. Raises DockerCacheError if it cannot be installed."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            return _read(archive, wheel, place, origin)
    except wheel_tree.FAILURES as error:
        raise unusable(wheel, str(error)) from error


def _read(archive: zipfile.ZipFile, wheel: Path, place: Place, origin: str) -> Installed:
    parsed = wheel_tree.Wheel(archive, place.packages, f"{place.prefix}/bin/python")
    hashes = parsed.recorded_hashes()
    files: dict[str, tuple[int, Content]] = {}
    rows = []
    own = f"{place.packages}/{parsed.info}/direct_url.json"
    made = [wheel_tree.File(own, content=origin.encode())] if origin else []
    for file in [*(file for file in parsed.files() if not made or file.path != own), *made]:
        content: Content = Bytes(file.content)
        digest = ""
        if file.member:
            found = SHA256.fullmatch(hashes.get(file.member.filename, ""))
            member = _member(wheel, file.member, found[1] if found else "")
            if not member.hash:  # check that what is read now is also written
                member = replace(member, hash=_hash(member))
            digest, content = member.hash, member
            if file.content:
                content = Script(first_line=file.content, member=member, skipped=file.skipped)
                digest = ""
        rows.append(parsed.format_row(file.path, digest or _hash(content), content.size))
        files[file.path] = (0o755 if file.executable else 0o644, content)
    record = parsed.format_record(rows)
    files[parsed.record] = (0o644, Bytes(record))
    return Installed(parsed.info, record, files)


def _member(wheel: Path, info: zipfile.ZipInfo, digest: str) -> Member:
    if info.flag_bits & ENCRYPTED:
        raise ValueError(f"{info.filename} is encrypted")
    if info.compress_type not in METHODS:
        known = " and ".join(METHODS.values())
        raise ValueError(f"{info.filename} is compressed with an unknown method, not {known}")
    return Member(
        wheel=wheel,
        name=info.filename,
        header=info.header_offset,
        raw_name=info.orig_filename.encode("utf-8" if info.flag_bits & UTF_8 else "cp437"),
        method=info.compress_type,
        packed=info.compress_size,
        size=info.file_size,
        crc=info.CRC,
        hash=digest,
    )


def _hash(content: Content) -> str:
    digest = hashlib.sha256()
    for chunk in content.chunks():
        digest.update(chunk)
    return wheel_tree.format_hash(digest.digest())


def unusable(wheel: Path, why: str) -> DockerCacheError:
    """Return the error for a wheel that cannot be installed."""
    return DockerCacheError(f"{wheel.name} cannot be installed: {why}.", fix=FIX)
