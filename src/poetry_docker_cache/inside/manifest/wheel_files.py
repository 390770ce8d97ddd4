"""Choose the files of a package that can be installed, by their names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .target import Target

MANYLINUX = {"1": (2, 5), "2010": (2, 12), "2014": (2, 17)}
SDIST = (".tar.gz", ".zip", ".tar.bz2", ".tar.xz", ".tar.Z", ".tgz", ".tar")


def fits(filename: str, target: Target) -> bool:
    """Return whether a wheel can be installed on any architecture (PEP 425, 600, 656)."""
    parts = filename[: -len(".whl")].split("-")
    if not filename.endswith(".whl") or len(parts) not in (5, 6):
        return False
    pythons, abis, systems = (part.split(".") for part in parts[-3:])
    if systems == ["any"]:
        return "none" in abis and any(fits_python(python, "none", target) for python in pythons)
    return any(fits_system(system, target) for system in systems) and any(
        fits_python(python, abi, target) for python in pythons for abi in abis
    )


def fits_python(python: str, abi: str, target: Target) -> bool:
    """Return whether code for a Python and an ABI runs on the target's Python."""
    major, minor = target.python
    own = target.abi.rstrip("t")
    older = re.fullmatch(rf"(py|cp){major}(\d*)", python)
    since = int(older[2] or 0) if older else minor + 1
    if abi == "none":
        return python == own or (python.startswith("py") and since <= minor)
    if abi == "abi3":
        return target.abi == own and python.startswith("cp") and 2 <= since <= minor  # noqa: PLR2004  # abi3 began with 3.2
    return python == own and (abi == target.abi or not own.startswith("cp"))


def fits_system(system: str, target: Target) -> bool:
    """Return whether a platform tag is for Linux with the target's C library."""
    match = re.match(r"(many|musl)?linux(1|20\d\d|_(\d+)_(\d+))?_", system)
    if not match or not match[1]:
        return bool(match)
    needed = MANYLINUX.get(match[2]) or (int(match[3]), int(match[4]))
    known = target.libc_version
    libc = "glibc" if match[1] == "many" else "musl"
    return target.libc in (None, libc) and (known is None or needed <= known)


def fits_machine(filename: str, machine: str) -> bool:
    """Return whether a wheel that fits is also for this architecture."""
    systems = filename[: -len(".whl")].rpartition("-")[2].split(".")
    return any(system == "any" or system.endswith(f"_{machine}") for system in systems)


def fitting_wheels(files: Iterable[Mapping[str, str]], target: Target) -> list[dict[str, str]]:
    """Return the wheels that fit, of all architectures."""
    kept = {(file["file"], file["hash"]) for file in files if fits(file["file"], target)}
    return [{"file": name, "hash": digest} for name, digest in sorted(kept)]


def usable_files(
    files: Iterable[Mapping[str, str]], target: Target, *, wheels: bool = True, sdists: bool = True
) -> list[dict[str, str]]:
    """Return the files that an installation may use.

    If a pure wheel fits, no source distribution is used.
    """
    known = {(file["file"], file["hash"]) for file in files}
    kept = {file for file in known if wheels and fits(file[0], target)}
    if sdists and not any(name.endswith("-any.whl") for name, _ in kept):
        kept |= {file for file in known if file[0].endswith(SDIST)}
    return [{"file": name, "hash": digest} for name, digest in sorted(kept)]
