"""Write a list of the shared libraries that a layer needs and of those that it brings.

The stage `check` reads these small files, so it does not need the layers. No code of the packages
runs: what their modules need is read from the files.
"""

from __future__ import annotations

import csv
import ctypes
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections import defaultdict
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import elf, installed_files

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# Of GPU drivers, which the machine that runs the container brings; and musl's own name, which only
# files for another system ask for where the C library is another one.
NEVER = re.compile(r"lib(cuda|nvidia-|nvcuvid|amdhip|hsa-|ze_loader)|libc\.musl-")
# Modules that their package tries to import and does without: numba has a thread pool of its own.
OPTIONAL = re.compile(r"/numba/np/ufunc/(omp|tbb)pool\.")
SHARED = re.compile(r"\.so(\.[\w.]+)?$")
MODULES = tuple(suffix for suffix in EXTENSION_SUFFIXES if suffix != ".so")
# What auditwheel gives to the libraries that it puts into a wheel, for this wheel alone.
HASHED = re.compile(r"-[0-9a-f]{8}\.so")
ABSENT = re.compile(r"cannot open shared object file|Error loading shared library")


class Need:
    """A library that is not in the layer: which files ask for it, and for which versions."""

    def __init__(self) -> None:
        self.by: set[Path] = set()
        self.versions: set[str] = set()
        self.paths: set[str] = set()
        """Folders where it was found by what the files say, not by the loader's own rules."""


def write(venv: Path, target: Path, *, from_source: bool) -> None:
    """Write the file of a layer; what this image has anyway stands there only `from_source`.

    Wheels are installed on the image that the final one starts from. What is built from source is
    linked with the libraries of another image.
    """
    files = list(_files(venv))
    needs = _needs(venv, files)
    if not from_source:
        needs = {name: need for name, need in needs.items() if not (need.paths or _loads(name))}
    packages = debian_packages(needs) if from_source else {}
    owners = _owners(venv) if needs else {}
    content = {
        "needs": {name: _entry(need, packages.get(name), owners) for name, need in needs.items()},
        "provides": sorted({path.name for path in files if _is_for_others(path.name)}),
        "python": f"{sys.version_info[0]}.{sys.version_info[1]}",
    }
    text = json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    target.write_bytes(text.encode())
    target.chmod(0o644)  # the mode is part of the key; the umask must not be


def _entry(need: Need, package: str | None, owners: dict[Path, str]) -> dict[str, Any]:
    entry: dict[str, Any] = {"by": sorted({owners.get(path, path.name) for path in need.by})}
    if package:
        entry["package"] = package
    if need.versions:
        entry["versions"] = sorted(need.versions)
    if need.paths:
        entry["paths"] = sorted(need.paths)
    return entry


def _files(venv: Path) -> Iterator[Path]:
    """Find the files that may be shared libraries or modules; links are names of the same."""
    for folder, _, names in os.walk(venv):
        for name in names:
            path = Path(folder, name)
            if SHARED.search(name) and not path.is_symlink():
                yield path


def _needs(venv: Path, files: list[Path]) -> dict[str, Need]:
    """Follow modules and programs through the libraries in the layer to those outside.

    A library in the layer that nothing there asks for is passed over, such as a backend for one
    brand of GPU.
    """
    ours = elf.read(Path(sys.executable).resolve())
    here = defaultdict(list)
    for path in files:
        here[path.name].append(path)
    programs = (path for path in (venv / "bin").glob("*") if not path.is_symlink())
    modules = (path for path in files if not _is_library(path.name))
    waiting = sorted({*programs, *(it for it in modules if not OPTIONAL.search(it.as_posix()))})
    seen = set(waiting)
    needs: dict[str, Need] = defaultdict(Need)
    for path in waiting:
        found = elf.read(path)
        if not found or not ours or found.machine != ours.machine:
            continue
        for name in found.needed:
            if name in here:
                waiting += (other for other in here[name] if other not in seen)
                seen.update(here[name])
            elif not NEVER.match(name) and not name.endswith(MODULES):
                needs[name].by.add(path)
                needs[name].versions |= {
                    text for library, text in found.versions if library == name
                }
                needs[name].paths |= set(_places(name, found.paths, path.parent))
    return dict(needs)


def _is_library(name: str) -> bool:
    """Whether modules load it, by the names that are usual: `libx.so.1` and no `libx.abi3.so`."""
    return not name.endswith((".so", *MODULES)) or (
        name.startswith("lib") and not name.endswith(MODULES)
    )


def _is_for_others(name: str) -> bool:
    return not name.endswith(MODULES) and not HASHED.search(name)


def _places(name: str, folders: Iterable[str], origin: Path) -> Iterator[str]:
    """Give those of the folders that a file names for its libraries which do hold this one."""
    for folder in folders:
        place = os.path.normpath(re.sub(r"\$(ORIGIN|\{ORIGIN\})", str(origin), folder))
        if Path(place, name).exists():
            yield place


def _loads(name: str) -> bool:
    """Ask the loader of this image, by loading; any error but one says that it was found."""
    try:
        ctypes.CDLL(name)
    except OSError as error:
        return not ABSENT.search(str(error))
    return True


def debian_packages(names: Iterable[str]) -> dict[str, str]:
    """Ask dpkg which packages libraries come from; {} on other systems than Debian."""
    if not shutil.which("dpkg-query"):
        return {}
    # By the last part of the path: in which of /lib and /usr/lib a package has it is history.
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
    """Map the files of the environment to the distributions that brought them."""
    result = {}
    for site in venv.glob("lib/python*/site-packages"):
        for record in sorted(site.glob("*.dist-info/RECORD")):
            name, _ = installed_files.name_and_version(record.parent)
            with record.open(newline="", encoding="utf-8") as file:
                for row in csv.reader(file):
                    if row:
                        result[Path(os.path.normpath(site / row[0]))] = name
    return result
