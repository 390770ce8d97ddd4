"""Check that the dependencies run on the final image, and make the user's home folder.

Fails the build where otherwise the container would: a virtual environment of another Python, or
an extension module whose shared libraries are not in the image.
"""

from __future__ import annotations

import argparse
import csv
import os
import re
import struct
import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# Of GPU drivers: the machine that runs the container brings them.
DRIVERS = re.compile(r"lib(cuda|nvidia-|nvcuvid|amdhip|hsa-|ze_loader)")
MISSING = re.compile(  # the words of glibc, of musl, and of a glibc that is too old
    r"^\s*(\S+) => not found|shared library (\S+):|version `(GLIBC\w*_[\d.]+)' not found",
    re.MULTILINE,
)
# Where the Debian package is not called like the library and its version.
DEBIAN = {"libxml2.so.2": "libxml2", "libxslt.so.1": "libxslt1.1", "libodbc.so.2": "libodbc2"}
DEBIAN.update({"libglib-2.0.so.0": "libglib2.0-0", "libgobject-2.0.so.0": "libglib2.0-0"})
DEBIAN.update({"libgthread-2.0.so.0": "libglib2.0-0"})


def loader() -> str | None:
    """Find the dynamic loader that this interpreter asks for, in its ELF header."""
    data = Path(sys.executable).resolve().read_bytes()
    if data[:5] != b"\x7fELF\x02" or data[5] != 1:
        return None
    start, size, count = struct.unpack_from("<Q14xHH", data, 32)
    for header in range(start, start + size * count, size):
        kind, _, offset, _, _, length = struct.unpack_from("<IIQQQQ", data, header)
        if kind == 3:  # noqa: PLR2004  # PT_INTERP
            return data[offset : offset + length].rstrip(b"\0").decode()
    return None


def missing_libraries(root: Path) -> Iterator[tuple[Path, str]]:
    """Ask the loader what it cannot find for each extension module; no code of it runs.

    A library that lies anywhere in the environment is not missing: packages load such ones first.
    """
    program = loader()
    environment = {**os.environ, "LD_TRACE_LOADED_OBJECTS": "1"}
    listing = ["--list"] if "ld-musl" in str(program) else []
    libraries = {path.name for path in root.rglob("*.so*")}
    suffixes = tuple(suffix for suffix in EXTENSION_SUFFIXES if suffix != ".so")
    for path in sorted(root.rglob("*.so")) if program else ():
        if path.name.startswith("lib") and not path.name.endswith(suffixes):
            continue  # not a module, but what one may load, such as a backend for one brand of GPU
        # As ldd does: glibc's `--list` would stop at the first library that is missing.
        command = [str(program), *listing, str(path)]
        run = subprocess.run(command, env=environment, capture_output=True, check=False)
        text = (run.stdout + run.stderr).decode(errors="replace")
        names = {"".join(match) for match in MISSING.findall(text)}
        for name in sorted(names - libraries):
            if not DRIVERS.match(name):
                yield path, name


def owners(root: Path) -> dict[Path, str]:
    """Map the files of the environment to the distributions that brought them."""
    result = {}
    for record in root.rglob("*.dist-info/RECORD"):
        with record.open(newline="", encoding="utf-8") as file:
            for row in csv.reader(file):
                result[record.parents[1] / row[0]] = record.parent.name.partition("-")[0]
    return result


def debian_package(library: str) -> str:
    """Guess the Debian package of a library, by Debian's own rule for names."""
    name, _, version = library.partition(".so.")
    joint = "-" if name[-1:].isdigit() else ""
    return DEBIAN.get(library, f"{name}{joint}{version}").lower().replace("_", "-")


def explanation(wanted: set[tuple[str, str]]) -> str:
    """Say what is missing, and what to write into pyproject.toml."""
    lines = [f"{owner} needs {name}, which is not in the image." for owner, name in sorted(wanted)]
    packages = sorted({debian_package(name) for _, name in wanted if ".so" in name})
    if packages:
        names = ", ".join(f'"{name}"' for name in packages)
        lines.append("Add the Debian packages to [tool.poetry-docker-cache], most likely:")
        lines.append(f"runtime-packages = [{names}]")
    if any(name.startswith("GLIBC") for _, name in wanted):
        lines.append("The C library is older than the one that the packages were built with:")
        lines.append("`build-image` and `base-image` must be of the same Debian release.")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--python")
    parser.add_argument("--home", type=Path)
    options = parser.parse_args(arguments)
    here = ".".join(map(str, sys.version_info[:2]))
    if options.python and options.python.split(".")[:2] != here.split("."):
        print(
            f"This image has Python {here}, but the packages were installed for {options.python}."
        )
        print("Set `python` in [tool.poetry-docker-cache] to the Python of the `base-image`.")
        return 1
    root = Path(sys.prefix)
    owner = owners(root)
    wanted = {(owner.get(path, path.name), name) for path, name in missing_libraries(root)}
    if wanted:
        print(explanation(wanted))
        return 1
    if options.home:
        options.home.mkdir(parents=True, exist_ok=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
