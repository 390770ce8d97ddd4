"""Check that the dependencies run on the final image, and create the user's home folder.

A layer that was installed with another Python, or a missing shared library, fails the build here
instead of the container later. Each layer brings a file that lists the libraries it needs.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# The messages of glibc and musl.
ABSENT = re.compile(r"(\S+): cannot open shared object|Error loading shared library (\S+):")
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
RTLD_DI_LINKMAP = 2


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


class Link(ctypes.Structure):
    """The first fields of the loader's entry for a library: `link_map` of <link.h>."""

    _fields_ = (("address", ctypes.c_void_p), ("name", ctypes.c_char_p))


def library_path(library: ctypes.CDLL) -> Path:
    """Return the file that the loader found for a library."""
    link = ctypes.POINTER(Link)()
    handle = ctypes.c_void_p(library._handle)  # noqa: SLF001  # ctypes has no other name for it
    ctypes.CDLL(None).dlinfo(handle, RTLD_DI_LINKMAP, ctypes.byref(link))
    return Path((link.contents.name or b"").decode() if link else "")


def find_faults(name: str, need: dict[str, Any]) -> Iterator[Missing | Outdated]:
    """Load a library as the modules will, and check that it defines the versions they need."""
    places = (Path(folder, name) for folder in need.get("paths", ()))
    place = next((str(path) for path in places if path.exists()), name)
    try:
        library = ctypes.CDLL(place)
    except OSError as error:
        found = ABSENT.search(str(error))
        absent = (found[1] or found[2]) if found else None
        if absent == name:
            package = need.get("package") or debian_package(name)
            yield from (Missing(by, name, package) for by in need["by"])
        elif absent:  # any other error means that the library was found
            yield Missing(name, absent, debian_package(absent))
        return
    versions = need.get("versions", ())
    path = library_path(library)
    names = path.read_bytes() if versions and path.is_file() else None
    for version in versions:
        # A library holds the names of the versions that it defines as C strings.
        if names and f"{version}\0".encode() not in names:
            yield from (Outdated(by, name, version) for by in need["by"])


def inspect(layers: list[dict[str, Any]], optional: list[str]) -> list[Missing | Outdated]:
    """Return the libraries that the layers need and neither this image nor a layer has."""
    provided = {name for layer in layers for name in layer["provides"]} | {*optional}
    needs = [item for layer in layers for item in layer["needs"].items()]
    missing = (need for need in needs if need[0] not in provided)
    return sorted({fault for name, need in missing for fault in find_faults(name, need)})


def debian_package(library: str) -> str:
    """Guess the Debian package of a library from Debian's naming rule."""
    name, _, version = library.partition(".so.")
    joint = "-" if name[-1:].isdigit() else ""
    return DEBIAN.get(library, f"{name}{joint}{version}").lower().replace("_", "-")


def to_toml(names: Iterable[str]) -> str:
    """Write names as a TOML array."""
    return json.dumps(sorted(names))


def explain(found: list[Missing | Outdated]) -> str:
    """Name what is missing, and what to add to pyproject.toml."""
    missing = [fault for fault in found if isinstance(fault, Missing)]
    outdated = [fault for fault in found if isinstance(fault, Outdated)]
    lines = [f"{fault.by} needs {fault.library}, which is not in the image." for fault in missing]
    libraries = sorted({fault.library for fault in missing})
    if missing and shutil.which("apt-get"):
        lines.append("Add the Debian packages to [tool.poetry-docker-cache], most likely:")
        lines.append(f"runtime-packages = {to_toml({fault.package for fault in missing})}")
    elif missing and shutil.which("apk"):  # apk finds the package by the name of the library
        lines.append("Add to [tool.poetry-docker-cache]:")
        lines.append(f"runtime-packages = {to_toml(f'so:{name}' for name in libraries)}")
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


def main(arguments: list[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--python")
    parser.add_argument("--home", type=Path)
    parser.add_argument("--optional", action="append", default=[])
    parser.add_argument("--libraries", type=Path, default=Path("/libraries"))
    options = parser.parse_args(arguments)
    here = ".".join(map(str, sys.version_info[:2]))
    if options.python and options.python.split(".")[:2] != here.split("."):
        print(
            f"This image has Python {here}, but the packages were installed for {options.python}."
        )
        print("Set `python` in [tool.poetry-docker-cache] to the version in `base-image`.")
        return 1
    files = sorted(options.libraries.glob("*.json"))
    layers = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in files}
    for name, layer in layers.items():
        if layer["python"] != here:
            print(f"This image has Python {here}, but `{name}` was built with {layer['python']}.")
            print("Set `build-image` and `base-image` to images with the same Python version.")
            return 1
    if found := inspect(list(layers.values()), options.optional):
        print(explain(found))
        return 1
    if options.home:
        options.home.mkdir(parents=True, exist_ok=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
