"""Check that the dependencies run on the final image, and make the user's home folder.

Fails the build where otherwise the container would: a layer that was installed with another Python,
or modules whose shared libraries are not in the image. What they need, each layer has written down.
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

# The words of glibc, and those of musl.
ABSENT = re.compile(r"(\S+): cannot open shared object|Error loading shared library (\S+):")
# Where the Debian package is not called like the library and its version.
DEBIAN = {"libxml2.so.2": "libxml2", "libxslt.so.1": "libxslt1.1", "libodbc.so.2": "libodbc2"}
DEBIAN.update({"libglib-2.0.so.0": "libglib2.0-0", "libgobject-2.0.so.0": "libglib2.0-0"})
DEBIAN.update({"libgthread-2.0.so.0": "libglib2.0-0"})
DEBIAN.update({"libgomp.so.1.0.0": "libgomp1"})
RTLD_DI_LINKMAP = 2


class Missing(NamedTuple):
    """A library that is not in the image."""

    by: str
    """The distribution, or the library, that needs it."""
    library: str
    package: str


class Outdated(NamedTuple):
    """A library in the image that is older than the one that a distribution was linked with."""

    by: str
    library: str
    version: str


class Link(ctypes.Structure):
    """The beginning of what the loader knows of a library: `link_map` of <link.h>."""

    _fields_ = (("address", ctypes.c_void_p), ("name", ctypes.c_char_p))


def file_of(library: ctypes.CDLL) -> Path:
    """Tell where the loader found a library."""
    link = ctypes.POINTER(Link)()
    handle = ctypes.c_void_p(library._handle)  # noqa: SLF001  # ctypes has no other name for it
    ctypes.CDLL(None).dlinfo(handle, RTLD_DI_LINKMAP, ctypes.byref(link))
    return Path((link.contents.name or b"").decode() if link else "")


def faults(name: str, need: dict[str, Any]) -> Iterator[Missing | Outdated]:
    """Load a library as the modules will, and look for the versions that they ask for."""
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
    path = file_of(library)
    names = path.read_bytes() if versions and path.is_file() else None
    for version in versions:
        # So stand there the versions that it defines.
        if names and f"{version}\0".encode() not in names:
            yield from (Outdated(by, name, version) for by in need["by"])


def inspect(layers: list[dict[str, Any]], optional: list[str]) -> list[Missing | Outdated]:
    """Compare what the layers need with what this image and the other layers have."""
    provided = {name for layer in layers for name in layer["provides"]} | {*optional}
    needs = [item for layer in layers for item in layer["needs"].items()]
    return sorted({it for name, need in needs if name not in provided for it in faults(name, need)})


def debian_package(library: str) -> str:
    """Guess the Debian package of a library, by Debian's own rule for names."""
    name, _, version = library.partition(".so.")
    joint = "-" if name[-1:].isdigit() else ""
    return DEBIAN.get(library, f"{name}{joint}{version}").lower().replace("_", "-")


def listed(names: Iterable[str]) -> str:
    """Write names as TOML."""
    return json.dumps(sorted(names))


def explanation(found: list[Missing | Outdated]) -> str:
    """Say what is missing, and what to write into pyproject.toml."""
    missing = [it for it in found if isinstance(it, Missing)]
    outdated = [it for it in found if isinstance(it, Outdated)]
    lines = [f"{it.by} needs {it.library}, which is not in the image." for it in missing]
    libraries = sorted({it.library for it in missing})
    if missing and shutil.which("apt-get"):
        lines.append("Add the Debian packages to [tool.poetry-docker-cache], most likely:")
        lines.append(f"runtime-packages = {listed({it.package for it in missing})}")
    elif missing and shutil.which("apk"):  # to which a library is the package that has it
        lines.append("Add to [tool.poetry-docker-cache]:")
        lines.append(f"runtime-packages = {listed(f'so:{name}' for name in libraries)}")
    elif missing:
        lines.append(
            "Install what holds it by a line of `instructions.runtime`, or in `base-image`."
        )
    if missing:
        lines.append("Or, of those that belong to a part that is never used, say so:")
        lines.append(f"optional-libraries = {listed(libraries)}")
    lines += [
        f"{it.by} needs {it.version} of {it.library}; the image's is older." for it in outdated
    ]
    if outdated:
        lines.append("What is built from source is linked with the libraries of `build-image`:")
        lines.append("`build-image` and `base-image` must be of the same release of their system.")
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
        print("Set `python` in [tool.poetry-docker-cache] to the Python of the `base-image`.")
        return 1
    files = sorted(options.libraries.glob("*.json"))
    layers = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in files}
    for name, layer in layers.items():
        if layer["python"] != here:
            print(f"This image has Python {here}, but `{name}` was built with {layer['python']}.")
            print("`build-image` and `base-image` must have the same Python.")
            return 1
    if found := inspect(list(layers.values()), options.optional):
        print(explanation(found))
        return 1
    if options.home:
        options.home.mkdir(parents=True, exist_ok=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
