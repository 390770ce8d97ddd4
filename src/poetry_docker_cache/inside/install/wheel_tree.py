"""Put the files of a wheel in their place (PEP 427): no code of a package runs.

Only text and bytes: a wheel for another architecture is installed the same way.
"""

from __future__ import annotations

import base64
import configparser
import csv
import hashlib
import io
import posixpath
import re
import zipfile
import zlib
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BLOCK = 1 << 20
INSTALLER = "poetry-docker-cache"
FORMAT = 1
"""To raise when the same wheel gets other files."""
OWN_FILES = re.compile(r"pyvenv\.cfg|lib64|bin(/(python[\d.]*t?|activate.*))?")
"""What a virtual environment has itself: no package may replace it."""
FUNCTION = re.compile(r"\s*([\w.]+)\s*:\s*([\w.]+)\s*(\[.*\])?\s*")
COMMAND = re.compile(r"[\w.+ -]+")
SCRIPT = """\
#!{python}
import sys
from {module} import {name}
if __name__ == "__main__":
    sys.exit({function}())
"""


class File(NamedTuple):
    """A file to write: a member of the wheel, or other content."""

    path: str
    """Relative to the virtual environment."""
    member: zipfile.ZipInfo | None = None
    content: bytes = b""
    executable: bool = False


class Wheel:
    """A wheel, and where its files go in a virtual environment.

    Raises ValueError for a wheel that is damaged, or has files outside of the environment.
    """

    def __init__(self, archive: zipfile.ZipFile, packages: str, python: str) -> None:
        self._archive = archive
        self._packages = packages
        self._python = python
        members = (info for info in archive.infolist() if not info.is_dir())
        self._members = {info.filename: info for info in members}
        self.info = self._find_info()
        self._data = self.info[: -len(".dist-info")] + ".data"
        version = re.search(rb"(?mi)^Wheel-Version:\s*(\d+)", self._read("WHEEL"))
        if not version or int(version[1]) > 1:
            raise ValueError(f"{archive.filename} has an unknown wheel version")

    def _find_info(self) -> str:
        wheels = [name for name in self._members if re.fullmatch(r"[^/]+\.dist-info/WHEEL", name)]
        if len(wheels) != 1:
            raise ValueError(f"{self._archive.filename} is not a wheel")
        return posixpath.dirname(wheels[0])

    def _read(self, name: str) -> bytes:
        member = self._members.get(f"{self.info}/{name}")
        return self._archive.read(member) if member else b""

    def files(self) -> Iterator[File]:
        """Yield all files but RECORD, which lists their hashes."""
        commands = dict(self._commands())
        for name, member in self._members.items():
            if name in {f"{self.info}/{text}" for text in ("RECORD", "RECORD.jws", "RECORD.p7s")}:
                continue
            path = self._place(name)
            if path.startswith("bin/") and name.startswith(f"{self._data}/scripts/"):
                if path not in commands:
                    yield self._script(path, member)
            else:
                yield File(path, member, executable=_is_executable(member))
        for path, content in commands.items():
            yield File(path, content=content, executable=True)
        yield File(self._place(f"{self.info}/INSTALLER"), content=f"{INSTALLER}\n".encode())

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
            raise ValueError(f"{self._archive.filename} has a file with an unknown place: {name}")
        return _checked(f"{folders[scheme]}/{path}")

    def _script(self, path: str, member: zipfile.ZipInfo) -> File:
        """Return a script, with this Python in its first line if that asks for one."""
        content = self._archive.read(member)
        first, end, rest = content.partition(b"\n")
        if first.startswith(b"#!python"):
            content = f"#!{self._python}".encode() + end + rest
        return File(path, content=content, executable=_is_executable(member))

    def _commands(self) -> Iterator[tuple[str, bytes]]:
        """Yield the path and the content of each script for an entry point."""
        parser = configparser.RawConfigParser(strict=False, delimiters=("=",))
        parser.optionxform = str  # type: ignore[assignment,method-assign]  # keeps the case
        try:
            parser.read_string(self._read("entry_points.txt").decode())
        except configparser.Error as error:
            raise ValueError(f"{self.info} has unreadable entry points: {error}") from error
        for section in ("console_scripts", "gui_scripts"):
            for command, value in parser.items(section) if parser.has_section(section) else ():
                function = FUNCTION.fullmatch(value)
                if not function or not COMMAND.fullmatch(command):
                    raise ValueError(f"{self.info} has an invalid script: {command} = {value}")
                text = SCRIPT.format(
                    python=self._python,
                    module=function[1],
                    name=function[2].partition(".")[0],
                    function=function[2],
                )
                yield _checked(f"bin/{command}"), text.encode()


def _is_executable(member: zipfile.ZipInfo) -> bool:
    return bool(member.external_attr >> 16 & 0o111)


def _checked(path: str) -> str:
    """Return a normal relative path."""
    normal = posixpath.normpath(path)
    outside = normal.startswith(("/", "..")) or "\\" in path or "\0" in path
    if outside or ".." in path.split("/") or OWN_FILES.fullmatch(normal):
        raise ValueError(f"a wheel contains {path}, which is not a place for its files")
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
            rows = [_write(venv, place, archive, file) for file in wheel.files()]
            own = f"{wheel.info}/RECORD"
            text = io.StringIO()
            csv.writer(text, lineterminator="\n").writerows([*sorted(rows), (own, "", "")])
            _replace(packages / own).write_text(text.getvalue(), encoding="utf-8")
            return packages / wheel.info
    except (zipfile.BadZipFile, zlib.error, OSError, RuntimeError, UnicodeError) as error:
        raise ValueError(f"{path.name} is damaged: {error}") from error


def _write(venv: Path, packages: str, archive: zipfile.ZipFile, file: File) -> tuple[str, str, str]:
    """Write a file, and return its row in RECORD."""
    target = _replace(venv / file.path)
    digest, size = hashlib.sha256(), 0
    source = archive.open(file.member) if file.member else io.BytesIO(file.content)
    with source, target.open("wb") as output:
        while block := source.read(BLOCK):
            output.write(block)
            digest.update(block)
            size += len(block)
    target.chmod(0o755 if file.executable else 0o644)
    text = base64.urlsafe_b64encode(digest.digest()).rstrip(b"=").decode()
    return posixpath.relpath(file.path, packages), f"sha256={text}", str(size)


def _replace(target: Path) -> Path:
    """Make room for a file: the one of an earlier wheel may be there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_dir():
        raise ValueError(f"a wheel has a file where another one has a folder: {target.name}")
    target.unlink(missing_ok=True)
    return target
