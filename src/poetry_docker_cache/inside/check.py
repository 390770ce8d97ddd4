"""Check that the dependencies run on the final image, and make the folders that its user owns.

A layer that was installed with another Python, or a missing shared library, fails the build here
instead of the container later. Each layer brings a file that lists the libraries it needs.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING or __package__:
    from .install import elf
else:  # in the build, where this file is next to the folder `install`
    from install import elf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Protocol

EPOCH = 315532800  # 1980, the earliest time in a ZIP archive
PROGRAMS = ("/usr/bin", "/bin", "/usr/sbin", "/sbin")
MANAGERS = ("dnf", "microdnf", "tdnf", "yum", "zypper")
"""Package managers of the Red Hat family and of SUSE."""

# Libraries whose Debian package is not named after the library and its version.
DEBIAN = {
    "libglib-2.0.so.0": "libglib2.0-0",
    "libgobject-2.0.so.0": "libglib2.0-0",
    "libgomp.so.1.0.0": "libgomp1",
    "libgthread-2.0.so.0": "libglib2.0-0",
    "libodbc.so.2": "libodbc2",
    "libxml2.so.2": "libxml2",
    "libxslt.so.1": "libxslt1.1",
}


class Missing(NamedTuple):
    """A library that is not in the image."""

    by: str
    """The distribution, or the library, that needs it."""
    library: str
    package: str


class Outdated(NamedTuple):
    """A library in the image older than the version that a distribution was linked with."""

    by: str
    library: str
    version: str


class Library(NamedTuple):
    """A library in the image."""

    path: str
    """The path in the image, without symbolic links."""
    elf: elf.Elf
    defines: Callable[[str], bool]
    """Whether it has the name of a version."""


class Folder(NamedTuple):
    """A folder of the image: its mode and owner."""

    mode: int
    uid: int
    gid: int


if TYPE_CHECKING:
    Fault = Missing | Outdated

    class Files(Protocol):
        """The files of an image, with symbolic links resolved inside it."""

        def names(self, folder: str, pattern: str) -> list[str]:
            """Return the names in a folder that match a pattern of the shell."""

        def text(self, path: str) -> str:
            """Return the text of a file; empty without one."""

    class Libraries(Protocol):
        """The libraries and programs of an image."""

        def find(self, name: str, folders: Iterable[str] = ()) -> Library | None:
            """Find a library, first in some folders."""

        def has(self, program: str) -> bool:
            """Return whether the image has a program."""


class Image:
    """The files of an image: no code in it runs, and no library is loaded."""

    def __init__(self, root: Path, machine: int = 0) -> None:
        self.root = root
        self.machine = machine
        """The number of the processor's architecture in ELF files."""
        self.folders = [*dict.fromkeys(self._folders())]

    def place(self, path: str) -> Path:
        """Return a path of the image on this machine, with symbolic links resolved inside it."""
        done, waiting = self.root, path.split("/")[::-1]
        for _ in range(1000):
            if not waiting:
                break
            part = waiting.pop()
            if part == "..":
                done = done.parent if done != self.root else done
            elif part not in ("", "."):
                done /= part
                if done.is_symlink():
                    target = str(done.readlink())
                    done = self.root if target.startswith("/") else done.parent
                    waiting += target.split("/")[::-1]
        return done

    def _folders(self) -> Iterator[str]:
        if self.root == Path("/"):
            yield from filter(None, os.environ.get("LD_LIBRARY_PATH", "").split(":"))
        yield from loader_folders(self)

    def names(self, folder: str, pattern: str) -> list[str]:
        """Return the names in a folder that match a pattern of the shell."""
        return sorted(path.name for path in self.place(folder).glob(pattern))

    def text(self, path: str) -> str:
        """Return the text of a file; empty without one."""
        place = self.place(path)
        return place.read_text(errors="replace") if place.is_file() else ""

    def find(self, name: str, folders: Iterable[str] = ()) -> Library | None:
        """Find a library for the image's processor, first in some folders; None without one."""
        if "/" in name:  # a path, which only a faulty package has: the loader would run that file
            return None
        for folder in (*folders, *self.folders):
            path = self.place(f"{folder}/{name}")
            if path.is_file() and (read := elf.read(path)) and read.machine == self.machine:
                name = f"/{path.relative_to(self.root)}"
                return Library(name, read, functools.partial(_defines, path))
        return None

    def python(self, link: Path) -> str | None:
        """Return the minor version of Python: "" if unknown, None without a Python.

        Of another image it is the one in the name of the file that the environment links to.
        """
        if self.root == Path("/"):
            return ".".join(map(str, sys.version_info[:2]))
        folder = link.parent
        while link.parent == folder:  # from `python` to `python3`
            link = folder / link.readlink()
        path = self.place(str(link))
        found = re.fullmatch(r"python(\d+\.\d+)t?", path.name)
        if not path.is_file():
            return None
        return found[1] if found else ""

    def has(self, program: str) -> bool:
        """Return whether the image has a program of its distribution."""
        return any(self.place(f"{folder}/{program}").exists() for folder in PROGRAMS)


def loader_folders(image: Files) -> Iterator[str]:
    """Yield the folders that the loader searches, of glibc or musl (ld.so(8))."""
    for name in image.names("/etc", "ld-musl-*.path"):
        yield from filter(None, re.split("[:\n]", image.text(f"/etc/{name}")))
    yield from _configured(image)
    musl = image.names("/lib", "ld-musl-*")
    for folder in ("/lib", "/usr/lib", "/usr/local/lib" if musl else "/lib64", "/usr/lib64"):
        yield folder
        yield from (f"{folder}/{name}" for name in image.names(folder, "*-linux-*"))


def _configured(image: Files) -> Iterator[str]:
    """Yield the folders in ld.so.conf, and in the files that it includes."""
    waiting = ["/etc/ld.so.conf"]
    for place in waiting:
        for line in image.text(place).splitlines():
            words = line.partition("#")[0].replace(":", " ").replace(",", " ").split()
            if words[:1] != ["include"]:
                yield from words
            for pattern in words[1:] if words[:1] == ["include"] else ():
                folder, _, names = os.path.join("/etc", pattern).rpartition("/")  # noqa: PTH118
                found = (
                    f"{folder}/{name}" for name in (image.names(folder, names) if names else ())
                )
                waiting += (other for other in found if other not in waiting)


def _defines(path: Path, version: str) -> bool:
    """Return whether a library defines a version: it holds the names as C strings."""
    return f"{version}\0".encode() in path.read_bytes()


def find_faults(
    image: Libraries, name: str, need: dict[str, Any], provided: set[str]
) -> Iterator[Fault]:
    """Find a library, the libraries that it needs, and the versions that it must define."""
    first = tuple(need.get("paths", ()))
    found = image.find(name, first)
    if found is None:
        package = need.get("package") or debian_package(name)
        yield from (Missing(by, name, package) for by in need["by"])
        return
    for version in need.get("versions", ()):
        if not found.defines(version):
            yield from (Outdated(by, name, version) for by in need["by"])
    waiting, seen = [(name, found, first)], {name, *provided}
    while waiting:
        by, library, inherited = waiting.pop()
        origin = library.path.rpartition("/")[0]
        own = [folder.replace("${ORIGIN}", "$ORIGIN") for folder in library.elf.paths]
        # An RPATH also counts for the libraries that a library needs.
        folders = (*(folder.replace("$ORIGIN", origin) for folder in own), *inherited)
        for needed in library.elf.needed:
            if needed not in seen:
                seen.add(needed)
                if other := image.find(needed, folders):
                    waiting.append((needed, other, folders))
                elif not needed.startswith("libc.musl-"):
                    yield Missing(by, needed, debian_package(needed))


def inspect(image: Libraries, layers: list[dict[str, Any]], optional: list[str]) -> list[Fault]:
    """Return the libraries that the layers need and neither the image nor a layer has."""
    provided = {name for layer in layers for name in layer["provides"]} | {*optional}
    needs = [item for layer in layers for item in layer["needs"].items()]
    missing = (need for need in needs if need[0] not in provided)
    return sorted(
        {fault for name, need in missing for fault in find_faults(image, name, need, provided)}
    )


def debian_package(library: str) -> str:
    """Guess the Debian package of a library from Debian's naming rule."""
    name, _, version = library.partition(".so.")
    joint = "-" if name[-1:].isdigit() else ""
    return DEBIAN.get(library, f"{name}{joint}{version}").lower().replace("_", "-")


def to_toml(names: Iterable[str]) -> str:
    """Write names as a TOML array."""
    return json.dumps(sorted(names))


def explain(image: Libraries, found: list[Fault]) -> str:
    """Name what is missing, and what to add to pyproject.toml."""
    missing = [fault for fault in found if isinstance(fault, Missing)]
    outdated = [fault for fault in found if isinstance(fault, Outdated)]
    lines = [f"{fault.by} needs {fault.library}, which is not in the image." for fault in missing]
    libraries = sorted({fault.library for fault in missing})
    if missing and image.has("apt-get"):
        lines.append("Add the Debian packages to [tool.poetry-docker-cache], most likely:")
        lines.append(f"runtime-packages = {to_toml({fault.package for fault in missing})}")
    elif missing and image.has("apk"):  # apk finds the package by the name of the library
        lines.append("Add to [tool.poetry-docker-cache]:")
        lines.append(f"runtime-packages = {to_toml(f'so:{name}' for name in libraries)}")
    elif missing and (manager := next(filter(image.has, MANAGERS), "")):
        # All of them find a package by the name of the library.
        names = " ".join(f"'{name}()(64bit)'" for name in libraries)
        lines.append("Add to [tool.poetry-docker-cache]:")
        line = json.dumps(f"RUN {manager} install -y {names}")
        lines.append(f"instructions = {{ runtime = [{line}] }}")
    elif missing:
        lines.append("Install it with `instructions.runtime`, or set a `base-image` that has it.")
    if missing:
        lines.append("Or, if your application does not use the parts that need them:")
        lines.append(f"optional-libraries = {to_toml(libraries)}")
    lines += [
        f"{fault.by} needs {fault.version} of {fault.library}; the image has an older one."
        for fault in outdated
    ]
    if outdated:
        lines.append("Packages built from source are linked with the libraries of `build-image`:")
        lines.append("set `build-image` and `base-image` to the same release of a distribution.")
    return "\n".join(lines)


def read_users(passwd: str) -> dict[str, tuple[int, int]]:
    """Return the uid and gid of each user in the text of /etc/passwd."""
    found = re.findall(r"^([^:\n]+):[^:\n]*:(\d+):(\d+):", passwd, re.MULTILINE)
    return {name: (int(uid), int(gid)) for name, uid, gid in found}


def find_user(name: str, users: dict[str, tuple[int, int]]) -> tuple[int, int] | str:
    """Return the uid and gid of a user, by `uid:gid` or by name, or why it cannot be used."""
    if ":" in name:
        uid, gid = map(int, name.split(":"))
        return uid, gid
    if name not in users:
        others = ", ".join(sorted(other for other, (uid, _) in users.items() if uid)) or "none"
        return (
            f"`user` is {name}, which the base image does not have. Its users: {others}."
            '\nSet `user` to one of them, or to a number such as "10001:10001".'
        )
    if users[name][0] == 0:
        return (
            f"`user` is {name}, which is root in the base image."
            '\nSet `user` to another, or to a number such as "10001:10001".'
        )
    return users[name]


def plan_folders(
    wanted: dict[str, int | None],
    user: tuple[int, int],
    existing: Callable[[str], Folder | None],
) -> dict[str, Folder]:
    """Return the folders that a user owns, and those above them, from the top.

    `wanted` has the mode of each path, or None: paths without links and without a slash at the
    start. Folders that exist keep their modes, and those above the wanted ones their owners. New
    ones above belong to root, unless the user owns the folder that they are in.
    """
    found: dict[str, Folder] = {}
    for path in sorted(wanted):
        parts = path.split("/")
        owner = (0, 0)
        for end in range(1, len(parts) + 1):
            place = "/".join(parts[:end])
            if place not in found or place == path:
                known = existing(place)
                mode = known.mode if known else 0o755
                if place == path:
                    found[place] = Folder(wanted[path] or mode, *user)
                else:
                    found[place] = known or Folder(mode, *owner)
            if found[place][1:] == user:
                owner = user
    return found


def make_folders(
    image: Image, user: tuple[int, int], wanted: dict[str, int | None], target: Path
) -> str:
    """Make folders of the image below `target`. Return why that is not possible; "" if it is."""
    places: dict[str, int | None] = {}
    for path, mode in wanted.items():
        place = image.place(path)
        if place.exists() and not place.is_dir():
            return f"{path} is a file in the base image.\nChange `directories` or `volumes`."
        places[str(place.relative_to(image.root))] = mode

    def existing(path: str) -> Folder | None:
        place = image.root / path
        if not place.is_dir():
            return None
        state = place.stat()
        return Folder(state.st_mode & 0o7777, state.st_uid, state.st_gid)

    folders = plan_folders(places, user, existing)
    for path, folder in folders.items():
        place = target / path
        place.mkdir(parents=True, exist_ok=True)
        os.chown(place, folder.uid, folder.gid)
        place.chmod(folder.mode)
    for path in reversed(folders):
        os.utime(target / path, (EPOCH, EPOCH))
    return ""


def find_problem(image: Image, layers: dict[str, Any], options: argparse.Namespace) -> str:
    """Return why the dependencies do not run on the image, and what to change; "" if they do."""
    here = image.python(options.link)
    if here is None:
        return (
            f"This image has no Python in the place that {options.link} links to."
            "\nSet `build-image` and `base-image` to images with Python in the same place."
        )
    if here and options.python and options.python.split(".")[:2] != here.split("."):
        return (
            f"This image has Python {here}, but the packages were installed for {options.python}."
            "\nSet `python` in [tool.poetry-docker-cache] to the version in `base-image`."
        )
    for name, layer in layers.items():
        if here and layer["python"] != here:
            return (
                f"This image has Python {here}, but `{name}` was built with {layer['python']}."
                "\nSet `build-image` and `base-image` to images with the same Python version."
            )
    found = inspect(image, list(layers.values()), options.optional)
    return explain(image, found) if found else ""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--python")
    parser.add_argument("--user", default="")
    parser.add_argument(
        "--folder", action="append", default=[], help="folder of the user: PATH or MODE:PATH"
    )
    parser.add_argument("--folders", type=Path, default=Path("/folders"))
    parser.add_argument(
        "--root", type=Path, default=Path("/"), help="files of the image, if not this one"
    )
    parser.add_argument("--link", type=Path, default=Path("/venv/bin/python"))
    parser.add_argument("--optional", action="append", default=[])
    parser.add_argument("--libraries", type=Path, default=Path("/libraries"))
    options = parser.parse_args(arguments)
    files = sorted(options.libraries.glob("*.json"))
    layers = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in files}
    # All layers are for the same machine.
    image = Image(options.root, max((layer["machine"] for layer in layers.values()), default=0))
    problem = find_problem(image, layers, options)
    if not problem and options.folder:
        user = find_user(options.user, read_users(image.text("/etc/passwd")))
        wanted: dict[str, int | None] = {}
        for text in options.folder:
            mode, _, path = text.rpartition(":")
            wanted[path] = int(mode, 8) if mode else None
        if isinstance(user, str):
            problem = user
        else:
            problem = make_folders(image, user, wanted, options.folders)
    if problem:
        print(f"poetry-docker-cache: {problem}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
