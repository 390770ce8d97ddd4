"""List the shared libraries that a layer needs and provides.

The stage `check` reads these small files instead of the layers. No code of the packages runs: what
their modules need is read from the files.
"""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import architecture, elf, installed_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import PurePath
    from typing import TypeVar

    _Path = TypeVar("_Path", bound=PurePath)

ELF_NUMBERS = {
    "aarch64": 183,
    "armv6l": 40,
    "armv7l": 40,
    "i686": 3,
    "loongarch64": 258,
    "ppc64le": 21,
    "riscv64": 243,
    "s390x": 22,
    "x86_64": 62,
}
"""The numbers of machines in ELF files (elf.h of glibc)."""
# Libraries that an image never needs: those of GPU drivers, which the host of the container
# provides, and musl under its own name, which only files for another C library need.
NEVER = re.compile(r"lib(cuda|nvidia-|nvcuvid|amdhip|hsa-|ze_loader)|libc\.musl-")
# Modules that their package can do without: numba has a thread pool of its own.
OPTIONAL = re.compile(r"/numba/np/ufunc/(omp|tbb)pool\.")
SHARED = re.compile(r"\.so(\.[\w.]+)?$")
# The names of modules for one Python, or for all, whichever runs this.
MODULE = re.compile(r"\.(abi3|cpython-\d+t?(-[\w-]+)?)\.so$")
# The hash in the name of a library that auditwheel has put into a wheel, for this wheel only.
HASHED = re.compile(r"-[0-9a-f]{8}\.so")


class Need:
    """A library that is not in the layer: the files that need it, and in which versions."""

    def __init__(self) -> None:
        self.by: set[PurePath] = set()
        self.versions: set[str] = set()
        self.paths: set[str] = set()
        """Folders that the files name and that contain it: the loader has other folders."""


def write(venv: Path, target: Path, machine: str, *, built: bool) -> None:
    """Write the list of a layer for a machine; the check looks for the libraries in the image.

    Packages that were `built` here are linked with libraries of this image: Debian knows in which
    package the final image gets them.
    """
    files = [*_files(venv), *_programs(venv)]
    number = _elf_number(machine)
    needs = find_needs(files, number, elf.read)
    packages = debian_packages(needs) if built and needs else {}
    owners = _owners(venv) if needs else {}
    content = {
        "machine": number,
        "needs": {name: entry(need, packages.get(name), owners) for name, need in needs.items()},
        "provides": provided(files),
        "python": f"{sys.version_info[0]}.{sys.version_info[1]}",
    }
    text = json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    target.write_bytes(text.encode())
    target.chmod(0o644)  # the mode is part of the key; the umask must not be


def _elf_number(machine: str) -> int:
    """Return the number of a machine in ELF files."""
    own = elf.read(Path(sys.executable).resolve())
    if own and machine == architecture.machine_of(""):
        return own.machine
    return ELF_NUMBERS.get(machine, 0)


def entry(need: Need, package: str | None, owners: Mapping[Any, str]) -> dict[str, Any]:
    """Describe a need for the check."""
    found: dict[str, Any] = {"by": sorted({owners.get(path, path.name) for path in need.by})}
    if package:
        found["package"] = package
    if need.versions:
        found["versions"] = sorted(need.versions)
    if need.paths:
        found["paths"] = sorted(need.paths)
    return found


def _files(venv: Path) -> Iterator[Path]:
    """Find the files that may be shared libraries or modules, without symbolic links."""
    for folder, _, names in os.walk(venv):
        for name in names:
            path = Path(folder, name)
            if SHARED.search(name) and not path.is_symlink():
                yield path


def _programs(venv: Path) -> Iterator[Path]:
    return (path for path in (venv / "bin").glob("*") if not path.is_symlink())


def find_needs(
    files: Sequence[_Path], machine: int, read: Callable[[_Path], elf.Elf | None]
) -> dict[str, Need]:
    """Follow modules and programs through the libraries in the layer to those outside.

    `files` are libraries, modules and programs, and `read` reads one of them.

    A library that nothing in the layer links to is ignored, such as a backend for one brand of GPU.
    """
    here = defaultdict(list)
    for path in files:
        if SHARED.search(path.name):
            here[path.name].append(path)
    roots = (path for path in files if not (SHARED.search(path.name) and _is_library(path.name)))
    waiting = sorted({path for path in roots if not OPTIONAL.search(path.as_posix())})
    seen = set(waiting)
    needs: dict[str, Need] = defaultdict(Need)
    for path in waiting:
        found = read(path)
        if not found or found.machine != machine:
            continue
        for name in found.needed:
            if name in here:
                waiting += (other for other in here[name] if other not in seen)
                seen.update(here[name])
            elif not NEVER.match(name) and not MODULE.search(name):
                needs[name].by.add(path)
                needs[name].versions |= {
                    text for library, text in found.versions if library == name
                }
                needs[name].paths |= set(_find_folders(name, found.paths, path.parent))
    return dict(needs)


def _is_library(name: str) -> bool:
    """Return whether a name is that of a library (`libx.so.1`), not of a module (`x.abi3.so`)."""
    return not name.endswith(".so") or (name.startswith("lib") and not MODULE.search(name))


def provided(files: Iterable[PurePath]) -> list[str]:
    """Return the names of the libraries that other layers may use."""
    names = {path.name for path in files if SHARED.search(path.name)}
    return sorted(name for name in names if not MODULE.search(name) and not HASHED.search(name))


def _find_folders(name: str, folders: Iterable[str], origin: PurePath) -> Iterator[str]:
    """Yield the folders named in a file that contain this library."""
    for folder in folders:
        place = os.path.normpath(re.sub(r"\$(ORIGIN|\{ORIGIN\})", str(origin), folder))
        if Path(place, name).exists():
            yield place


def debian_packages(names: Iterable[str]) -> dict[str, str]:
    """Return the Debian packages of libraries, by name; {} if the image is not Debian."""
    if not shutil.which("dpkg-query"):
        return {}
    # Search by file name: a package may list a file in /lib that is in /usr/lib today.
    command = ["dpkg-query", "--search", *(f"*/{name}" for name in sorted(names))]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    found: dict[str, list[tuple[bool, str]]] = defaultdict(list)
    for line in run.stdout.splitlines():
        package, _, path = line.partition(": ")
        if not package.startswith("diversion by "):
            foreign = f"/{sysconfig.get_config_var('MULTIARCH')}/" not in path
            found[path.rpartition("/")[2]].append((foreign, re.split("[:,]", package)[0]))
    return {name: min(packages)[1] for name, packages in found.items()}


def _owners(venv: Path) -> dict[Path, str]:
    """Map the files of the environment to the distributions that they belong to."""
    result: dict[Path, str] = {}
    for site in venv.glob("lib/python*/site-packages"):
        for record in sorted(site.glob("*.dist-info/RECORD")):
            with record.open(newline="", encoding="utf-8") as file:
                result.update(owned(record, file))
    return result


def owned(record: _Path, lines: Iterable[str]) -> Iterator[tuple[_Path, str]]:
    """Yield the paths in a RECORD, each with the name of the distribution."""
    name, _ = installed_files.name_and_version(record.parent)
    for row in csv.reader(lines):
        if row:
            yield type(record)(os.path.normpath(record.parent.parent / row[0])), name
