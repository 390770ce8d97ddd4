"""Install a wheel by copying its files to their places (PEP 427): no code of the package runs.

A wheel for another architecture is installed in the same way.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import posixpath
import re
import stat
import struct
import zipfile
import zlib
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

BLOCK = 1 << 20
TEXT_SIZE = 1 << 24
"""The largest text that is read at once: a small file can unpack to gigabytes."""
INSTALLER = "poetry-docker-cache"
FORMAT = 2
"""Increase it when the same wheel gets different files."""
OWN_FILES = re.compile(
    r"bin|include(/python[\d.]*t?)?|lib|lib64|"
    r"(pyvenv\.cfg|bin/(python[\d.]*t?|[Aa]ctivate(\.\w+)?)|share/poetry-docker-cache)(/.*)?",
    re.DOTALL,
)
"""What the environment has itself (the tables are those of `earlier_image`): it is not replaced."""
SAME_FOLDER = ("lib64/", "lib/")
"""The first one is a link to the second one."""
FUNCTION = re.compile(r"\s*([\w.-]+)\s*:\s*([\w.]+)\s*(\[.*\])?\s*")
COMMAND = re.compile(r"[\w.+ -]+")
FAILURES = (
    *(zipfile.BadZipFile, zlib.error, struct.error),
    *(EOFError, OSError, OverflowError, RuntimeError, ValueError),
)
"""The errors of reading a damaged wheel, or one of an unknown kind."""
SCRIPT = """\
#!{python}
import sys
{imports}
if __name__ == "__main__":
    sys.exit({function}())
"""


class File(NamedTuple):
    """A file to write: a member of the wheel, other content, or first content, then a member."""

    path: str
    """Relative to the virtual environment."""
    member: zipfile.ZipInfo | None = None
    content: bytes = b""
    skipped: int = 0
    """The size of the part of the member that the content replaces."""
    executable: bool = False


class Wheel:
    """A wheel, and where its files go in a virtual environment.

    Raises ValueError for a wheel that is damaged, or has files outside of the environment.
    """

    def __init__(self, archive: zipfile.ZipFile, packages: str, python: str) -> None:
        self._archive = archive
        self._packages = packages
        self._python = python
        if any(not info.filename or "\0" in info.orig_filename for info in archive.infolist()):
            raise ValueError("a file name is empty or contains a NUL character")
        members = [info for info in archive.infolist() if not info.is_dir()]
        self._members = {info.filename: info for info in members}
        self.info = self._find_info()
        self._data = self.info[: -len(".dist-info")] + ".data"
        version = re.search(rb"(?mi)^Wheel-Version:\s*(\d+)", self._read("WHEEL"))
        if not version or int(version[1]) > 1:
            raise ValueError("unknown version of the wheel format")
        if f"{self.info}/RECORD" not in self._members:
            raise ValueError(f"{self.info}/RECORD is missing")

    def _find_info(self) -> str:
        folders = {name.partition("/")[0] for name in self._members if "/" in name}
        infos = [folder for folder in folders if folder.endswith(".dist-info")]
        name = posixpath.basename(str(self._archive.filename)).partition("-")[0]
        # Another package's folder would replace that package.
        if len(infos) != 1 or not _normalized(infos[0]).startswith(f"{_normalized(name)}-"):
            found = ", ".join(sorted(infos)) or "no folder"
            raise ValueError(f"expected one folder {name}-*.dist-info, found {found}")
        return infos[0]

    def _read(self, name: str) -> bytes:
        member = self._members.get(f"{self.info}/{name}")
        if member and member.file_size > TEXT_SIZE:
            raise ValueError(f"{name} is too large")
        if not member:
            return b""
        with self._archive.open(member) as file:
            return file.read(member.file_size)  # the archive may contain more than it states

    def files(self) -> list[File]:
        """Return all files but RECORD, which `format_record` makes, and compiled modules.

        Compiled modules contain times, so that Python would ignore them.
        """
        # A file may be in the wheel twice: the last one stays.
        files = {file.path: file for file in self._all_files()}
        files.pop(self.record, None)
        return [file for path, file in files.items() if not self._is_bytecode(path)]

    def _all_files(self) -> Iterator[File]:
        commands = dict(self._commands())
        for name, member in self._members.items():
            path = self._place(name)
            if path.startswith("bin/") and name.startswith(f"{self._data}/scripts/"):
                if path not in commands:
                    yield self._script(path, member)
            else:
                yield File(path, member, executable=_is_executable(member))
        for path, content in commands.items():
            yield File(path, content=content, executable=True)
        yield File(self._place(f"{self.info}/INSTALLER"), content=f"{INSTALLER}\n".encode())

    @property
    def record(self) -> str:
        """The path of RECORD in the environment."""
        return self._place(f"{self.info}/RECORD")

    def recorded_hashes(self) -> dict[str, str]:
        """Return the hashes in the wheel's own RECORD, such as `sha256=…`, by file name."""
        rows = csv.reader(io.StringIO(self._read("RECORD").decode(), newline=""))
        try:
            return {row[0]: row[1] for row in rows if len(row) > 1}
        except csv.Error as error:
            raise ValueError(f"RECORD cannot be read: {error}") from error

    def format_row(self, path: str, digest: str, size: int) -> tuple[str, str, str]:
        """Return the row of a file for `format_record`; `format_hash` gives the digest."""
        return posixpath.relpath(path, self._packages), digest, str(size)

    def format_record(self, rows: Iterable[tuple[str, str, str]]) -> bytes:
        """Return the content of RECORD."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerows([*sorted(rows), (f"{self.info}/RECORD", "", "")])
        return text.getvalue().encode()

    def _is_bytecode(self, path: str) -> bool:
        return path.startswith(f"{self._packages}/") and "__pycache__" in path.split("/")

    def _place(self, name: str) -> str:
        """Return the path of a member in the environment."""
        root, _, rest = name.partition("/")
        if root != self._data:
            return _checked(f"{self._packages}/{name}")
        scheme, _, path = rest.partition("/")
        version = posixpath.basename(posixpath.dirname(self._packages))
        project = self.info.partition("-")[0]
        folders = {
            "purelib": self._packages,
            "platlib": self._packages,
            "scripts": "bin",
            "headers": f"include/site/{version}/{project}",
            "data": ".",
        }
        if scheme not in folders or not path:
            raise ValueError(f"unknown place for {name}")
        return _checked(f"{folders[scheme]}/{path}")

    def _script(self, path: str, member: zipfile.ZipInfo) -> File:
        """Return a script, with this Python in its first line if that asks for one."""
        with self._archive.open(member) as script:
            first = script.readline(BLOCK)
        asks = first.startswith(b"#!python")
        return File(
            path,
            member,
            content=f"#!{self._python}\n".encode() if asks else b"",
            skipped=len(first) if asks else 0,
            executable=_is_executable(member),
        )

    def _commands(self) -> Iterator[tuple[str, bytes]]:
        """Yield the path and the content of each script for an entry point."""
        section = ""
        for line in map(str.strip, self._read("entry_points.txt").decode().splitlines()):
            if line.startswith("["):
                section = line[1:].partition("]")[0].strip()
            elif section in ("console_scripts", "gui_scripts") and line[:1] not in ("", "#", ";"):
                command, _, value = line.partition("=")
                yield self._command(command.strip(), value)

    def _command(self, command: str, value: str) -> tuple[str, bytes]:
        function = FUNCTION.fullmatch(value)
        if not function or not COMMAND.fullmatch(command):
            raise ValueError(f"invalid entry point: {command} = {value.strip()}")
        module, name = function[1], function[2].partition(".")[0]
        imports = f"from {module} import {name}"
        if "-" in module:  # `poetry run` can import it as well
            imports = (
                f'from importlib import import_module\n{name} = import_module("{module}").{name}'
            )
        text = SCRIPT.format(python=self._python, imports=imports, function=function[2])
        return _checked(f"bin/{command}"), text.encode()


def format_hash(digest: bytes) -> str:
    """Format a SHA-256 digest as RECORD has it."""
    return f"sha256={base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _is_executable(member: zipfile.ZipInfo) -> bool:
    """Return whether pip and Poetry would make a member executable."""
    mode = member.external_attr >> 16
    return stat.S_ISREG(mode) and bool(mode & 0o111)


def _checked(path: str) -> str:
    """Return a normal relative path."""
    normal = posixpath.normpath(path)
    if normal.startswith(SAME_FOLDER[0]):
        normal = normal.replace(*SAME_FOLDER, 1)
    if {"", ".."} & {*path.split("/")} or OWN_FILES.fullmatch(normal):
        raise ValueError(f"a package must not contain {path}")
    return normal


def install(path: Path, venv: Path) -> Path:
    """Put a wheel's files into a virtual environment; return its `*.dist-info`.

    Raises ValueError for a damaged wheel, or one with files outside of the environment.
    """
    (packages,) = sorted(venv.glob("lib/python*/site-packages"))
    place = packages.relative_to(venv).as_posix()
    try:
        with zipfile.ZipFile(path) as archive:
            wheel = Wheel(archive, place, f"{venv}/bin/python")
            rows = [
                wheel.format_row(file.path, *_write(venv, archive, file)) for file in wheel.files()
            ]
            _replace(venv / wheel.record).write_bytes(wheel.format_record(rows))
            return packages / wheel.info
    except FAILURES as error:
        raise ValueError(f"{path.name} cannot be installed: {error}") from error


def _write(venv: Path, archive: zipfile.ZipFile, file: File) -> tuple[str, int]:
    """Write a file; return its hash and its size."""
    target = _replace(venv / file.path)
    digest, size = hashlib.sha256(), 0
    source = archive.open(file.member) if file.member else io.BytesIO()
    with source, target.open("wb") as output:
        source.read(file.skipped)
        block = file.content or source.read(BLOCK)
        while block:
            output.write(block)
            digest.update(block)
            size += len(block)
            block = source.read(BLOCK)
    target.chmod(0o755 if file.executable else 0o644)
    return format_hash(digest.digest()), size


def _replace(target: Path) -> Path:
    """Create the folder of a file, and remove the file of an earlier wheel with the same path."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_dir():
        raise ValueError(f"{target.name} is already a folder")
    target.unlink(missing_ok=True)
    return target
