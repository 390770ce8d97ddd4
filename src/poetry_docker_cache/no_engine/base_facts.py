"""What a base image contains, as far as it matters for an image: Python, C library, libraries.

The layers are read once, as a stream, and nothing is extracted. The facts are remembered.
"""

from __future__ import annotations

import contextlib
import io
import json
import mmap
import posixpath
import re
import shutil
import tempfile
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from poetry_docker_cache.docker.platforms import MACHINES
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.inside import check
from poetry_docker_cache.inside.install import elf
from poetry_docker_cache.inside.install.shared_libraries import ELF_NUMBERS, SHARED
from poetry_docker_cache.registry.layer_stream import (
    BUFFER,
    UNREADABLE,
    Chunks,
    inflated,
    members,
    normal_path,
)
from poetry_docker_cache.system import private_files

if TYPE_CHECKING:
    import tarfile
    from collections.abc import Iterable, Iterator
    from pathlib import Path
    from typing import IO

    from poetry_docker_cache.registry.base_image import BaseImage, Descriptor, Source

FORMAT = 2
"""Increase it when the same layers give other facts."""
_LARGEST_TEXT = 1 << 24
_TEXTS = re.compile(
    r"etc/passwd|etc/ld\.so\.conf(\.d/[^/]+)?|etc/ld-musl-[^/]+\.path|var/lib/dpkg/status"
    r"|var/lib/dpkg/status\.d/[^/]+|(usr/)?lib/apk/db/installed"
    r"|.*/include/python[^/]+/patchlevel\.h|.*/python[\d.]+t?/venv/scripts/(common|posix)/[^/]+"
)
_PROGRAMS = re.compile(r"(.*/)?s?bin/(python[\d.]*t?|apt-get|apk)")
# Modules of Python itself and of installed packages are not libraries for others.
_MODULES = re.compile(r"/(lib-dynload|site-packages|dist-packages)/")
_VERSION = re.compile(rb"\0([A-Za-z][\w.]{0,40}_[0-9][\w.]{0,30})(?=\0)")
_GLIBC = re.compile(rb"GNU C Library [^\0]{0,80}?version (\d+)\.(\d+)")
_PYTHON = re.compile(r"python(\d+)\.(\d+)(t?)")
_WHITEOUT, _OPAQUE = ".wh.", ".wh..wh..opq"


@dataclass(frozen=True, kw_only=True)
class BaseFacts:
    """What an image depends on besides the configuration of its base."""

    python: str
    """The full version: "3.13.5"."""
    abi: str
    interpreter: str
    """The path that `python` on PATH has."""
    executable: str
    """The file that it is a link to."""
    libc: str
    libc_version: tuple[int, int]
    machine: str
    """The architecture by its name in wheels."""
    programs: tuple[str, ...]
    search: tuple[str, ...]
    """The folders that the loader searches."""
    scripts: dict[str, str]
    """The templates of `activate` and its likes in the module venv, by name."""
    folders: dict[str, tuple[int, int, int]] = field(repr=False)
    """Mode, user and group of all folders."""
    links: dict[str, str] = field(repr=False)
    libraries: dict[str, dict[str, Any]] = field(repr=False)
    """What each library needs, by path."""
    users: dict[str, tuple[int, int]] = field(default_factory=dict)
    """The uid and gid of each user."""

    def resolve(self, path: str) -> str:
        """Return a path, without a leading slash, after following the links of the image."""
        return _resolve(self.links, path)


def read_facts(source: Source, base: BaseImage, folder: Path | None) -> BaseFacts:
    """Read the facts of a base image, or recall them from the cache `folder`.

    Raises DockerCacheError for a base whose Python cannot be determined.
    """
    if known := recall_facts(base, folder):
        return known
    files = _Files()
    for layer in base.layers:
        chunks = source.blob(base.repository, layer.digest, layer.size)
        files.apply(_members(layer, base.name, chunks))
    facts = _facts(base, files)
    if folder:
        place = _place(base, folder)
        text = json.dumps({"format": FORMAT, **asdict(facts)}, ensure_ascii=False)
        with contextlib.suppress(OSError):  # the next build reads the layers again
            place.parent.mkdir(parents=True, exist_ok=True)
            private_files.put(place, text)
    return facts


def recall_facts(base: BaseImage, folder: Path | None) -> BaseFacts | None:
    """Return the facts that the cache `folder` has; None if it has none, or the file is damaged."""
    if folder is None:
        return None
    try:
        data = json.loads(_place(base, folder).read_bytes())
        if data.pop("format") != FORMAT:
            return None
        for name in ("libc_version", "programs", "search"):
            data[name] = tuple(data[name])
        for name in ("folders", "users"):
            data[name] = {key: tuple(owner) for key, owner in data[name].items()}
        return BaseFacts(**data)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _place(base: BaseImage, folder: Path) -> Path:
    return folder / "bases" / f"{base.digest.replace(':', '-')}.json"


class _Files:
    """The files of the image that matter, after the layers so far."""

    def __init__(self) -> None:
        self.nodes: dict[str, Any] = {}
        """Mode and owner of a folder, the target of a link, what is known about a file."""

    def apply(self, members: Iterable[tuple[str, Any]]) -> None:
        """Add the members of a layer, after removing what its whiteouts name."""
        added: dict[str, Any] = {}
        removed: set[str] = set()
        for path, node in members:
            folder, _, name = path.rpartition("/")
            if name == _OPAQUE:
                removed.add(f"{folder}/")
            elif name.startswith(_WHITEOUT):
                removed.add(posixpath.join(folder, name[len(_WHITEOUT) :]))
            else:
                added[path] = node
                if not isinstance(node, tuple):  # a file or link replaces a folder
                    removed.add(path)
        gone = removed and [path for path in self.nodes if _is_removed(path, removed)]
        for path in gone or ():
            del self.nodes[path]
        self.nodes.update(added)
        self.nodes = {path: node for path, node in self.nodes.items() if node is not None}

    @property
    def links(self) -> dict[str, str]:
        """The targets of symbolic links."""
        return {path: node for path, node in self.nodes.items() if isinstance(node, str)}

    def names(self, folder: str, pattern: str) -> list[str]:
        """Return the names in a folder that match a pattern of the shell."""
        place = _resolve(self.links, folder)
        parts = (path.rpartition("/") for path in self.nodes)
        names = (name for above, _, name in parts if above == place)
        return sorted(name for name in names if fnmatchcase(name, pattern))

    def text(self, path: str) -> str:
        """Return the text of a file; empty without one."""
        node = self.nodes.get(_resolve(self.links, path))
        return str(node.get("text", "")) if isinstance(node, dict) else ""

    def texts(self, pattern: str) -> Iterator[tuple[str, str]]:
        """Yield the texts at matching paths."""
        for path, node in sorted(self.nodes.items()):
            if isinstance(node, dict) and "text" in node and re.fullmatch(pattern, path):
                yield path, node["text"]


def _is_removed(path: str, removed: set[str]) -> bool:
    if path in removed:
        return True
    place = path
    while "/" in place:
        place = place.rpartition("/")[0]
        if place in removed or f"{place}/" in removed:
            return True
    return "/" in removed


def _members(layer: Descriptor, name: str, chunks: Iterator[bytes]) -> Iterator[tuple[str, Any]]:
    """Yield path and node of each member of a layer; None for a file that does not matter."""
    file = io.BufferedReader(Chunks(chunks), BUFFER)
    try:
        known: dict[str, Any] = {}
        for path, member, archive in members(inflated(file, f"The base image {name}")):
            node = (
                known.get(normal_path(member.linkname))
                if member.islnk()
                else _node(archive, member)
            )
            known[path] = node
            yield path, node
        while file.read(BUFFER):  # the digest is verified at the end
            pass
    except UNREADABLE as error:
        raise DockerCacheError(
            f"The layer {layer.digest} of the base image {name} cannot be read: {error}.",
            fix="Push the base image again, or set another `base-image`.",
        ) from error


def _node(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Any:  # noqa: ANN401  # see _Files
    path = normal_path(member.name)
    if member.isdir():
        return (member.mode & 0o7777, member.uid, member.gid)
    if member.issym():
        return member.linkname
    content = archive.extractfile(member) if member.isreg() else None
    if content is None:
        return None
    if _TEXTS.fullmatch(path) and member.size <= _LARGEST_TEXT:
        return {"text": content.read().decode(errors="replace")}
    if SHARED.search(path) and not _MODULES.search(path):
        return _library(content)
    return {} if _PROGRAMS.fullmatch(path) else None


def _library(content: IO[bytes]) -> dict[str, Any] | None:
    """Read what a library needs and defines; None for another file."""
    start = content.read(4)
    if start != b"\x7fELF":
        return None
    with tempfile.TemporaryFile() as file:
        file.write(start)
        shutil.copyfileobj(content, file, 1 << 20)
        file.flush()
        file.seek(0)
        read = elf.read_open(file)
        if read is None:
            return None
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            # A library holds the names of the versions that it defines as C strings.
            versions = sorted(name.decode() for name in {*_VERSION.findall(data)})
            glibc = _GLIBC.search(data) if b"libc.so.6\0" in data[: 1 << 20] else None
            release = [int(glibc[1]), int(glibc[2])] if glibc else []
    found = {"needed": list(read.needed), "paths": list(read.paths), "machine": read.machine}
    return {**found, "versions": versions, **({"glibc": release} if release else {})}


def _resolve(links: dict[str, str], path: str) -> str:
    done, waiting = "", path.split("/")[::-1]
    for _ in range(1000):
        if not waiting:
            break
        part = waiting.pop()
        if part == "..":
            done = done.rpartition("/")[0]
        elif part not in ("", "."):
            place = f"{done}/{part}" if done else part
            target = links.get(place)
            if target is None:
                done = place
            else:
                done = "" if target.startswith("/") else done
                waiting += target.split("/")[::-1]
    return done


def _facts(base: BaseImage, files: _Files) -> BaseFacts:
    links = files.links
    plain = {path: node for path, node in files.nodes.items() if isinstance(node, dict)}
    folders = {path: node for path, node in files.nodes.items() if isinstance(node, tuple)}
    interpreter, executable = _interpreter(base, links, plain)
    match = _PYTHON.fullmatch(posixpath.basename(executable))
    if not match:
        raise _unknown(base, f"which Python /{executable} is")
    minor = f"{match[1]}.{match[2]}"
    libraries = {path: node for path, node in plain.items() if "machine" in node}
    libc, version = _libc(base, files, libraries, links)
    scripts = {
        posixpath.basename(path): text
        for path, text in files.texts(rf".*/python{re.escape(minor)}t?/venv/scripts/.*")
    }
    programs = [path for path in plain if _PROGRAMS.fullmatch(path)]
    found = (posixpath.basename(path) for path in (*programs, *filter(_PROGRAMS.fullmatch, links)))
    return BaseFacts(
        python=_patch_version(base, files, minor),
        abi=f"cp{match[1]}{match[2]}{match[3]}",
        interpreter=f"/{interpreter}",
        executable=f"/{executable}",
        libc=libc,
        libc_version=version,
        machine=MACHINES[base.platform],
        programs=tuple(sorted({*found} & {"apt-get", "apk"})),
        search=tuple(dict.fromkeys(_search(base, files))),
        scripts=scripts,
        folders=folders,
        links=links,
        users=check.read_users(files.text("/etc/passwd")),
        libraries=libraries,
    )


def _interpreter(base: BaseImage, links: dict[str, str], plain: dict[str, Any]) -> tuple[str, str]:
    """Find `python` as a shell does; return its path, and the file that it is."""
    path = base.variables.get("PATH", "/usr/local/bin:/usr/bin:/bin")
    for name in ("python", "python3"):
        for folder in path.split(":"):
            place = f"{folder}/{name}".lstrip("/")
            if (found := _resolve(links, place)) in plain:
                return place, found
    raise _unknown(base, "where its Python is")


def _patch_version(base: BaseImage, files: _Files, minor: str) -> str:
    """Find the full version in the configuration, Python's header or the packages' database."""
    found = [base.variables.get("PYTHON_VERSION", "")]
    for _, text in files.texts(rf".*/include/python{re.escape(minor)}t?/patchlevel\.h"):
        found += re.findall(r'^#define PY_VERSION\s+"([^"+]+)', text, re.MULTILINE)
    escaped = re.escape(minor)
    for _, text in files.texts(r"var/lib/dpkg/status(\.d/.*)?"):
        package = rf"^Package: (?:lib)?python{escaped}-minimal\n(?:.+\n)*?Version: ([\d.]+)"
        found += re.findall(package, text, re.MULTILINE)
    for _, text in files.texts(r"(usr/)?lib/apk/db/installed"):
        package = rf"^P:python(?:3|-{escaped})(?:-base)?\n(?:.+\n)*?V:([\d.]+)"
        found += re.findall(package, text, re.MULTILINE)
    for version in found:
        if re.match(rf"{escaped}\.\d", version):
            return version
    raise _unknown(base, f"which Python {minor} it has")


def _libc(
    base: BaseImage, files: _Files, libraries: dict[str, Any], links: dict[str, str]
) -> tuple[str, tuple[int, int]]:
    machine = ELF_NUMBERS.get(MACHINES[base.platform], 0)
    if _musl_loaders(libraries, links):
        for _, text in files.texts(r"(usr/)?lib/apk/db/installed"):
            package = r"^P:musl\n(?:.+\n)*?V:(\d+)\.(\d+)"
            for major, minor in re.findall(package, text, re.MULTILINE):
                return "musl", (int(major), int(minor))
    for node in libraries.values():
        if node.get("glibc") and node["machine"] == machine:
            major, minor = node["glibc"]
            return "glibc", (major, minor)
    raise _unknown(base, "which C library it has")


def _musl_loaders(libraries: dict[str, Any], links: dict[str, str]) -> bool:
    names = (posixpath.basename(path) for path in (*libraries, *links))
    return any(re.fullmatch(r"ld-musl-.*\.so\.1", name) for name in names)


def _search(base: BaseImage, files: _Files) -> Iterator[str]:
    """Yield the folders that the loader searches."""
    yield from filter(None, base.variables.get("LD_LIBRARY_PATH", "").split(":"))
    yield from check.loader_folders(files)


def _unknown(base: BaseImage, what: str) -> DockerCacheError:
    return DockerCacheError(
        f"The base image {base.name} does not show {what}.",
        fix="Set `base-image` to an image with Python on PATH, set PYTHON_VERSION in it"
        " (`ENV PYTHON_VERSION=3.13.5`), or build without `--no-engine`.",
    )
