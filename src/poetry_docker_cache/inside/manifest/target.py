"""Describe the Python that packages are chosen for: a given version, or the running one."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True)
class Target:
    """The Python that the packages are for; if the libc is unknown (None), any Linux wheel fits.

    It has no architecture, because the result must be the same on all platforms of the image.
    """

    python: tuple[int, int]
    abi: str
    libc: str | None
    libc_version: tuple[int, int] | None
    environment: Mapping[str, str]
    machines: tuple[str, ...] = ()
    """The architectures of the image, if known, by their names in wheels."""

    @classmethod
    def linux(cls, python: str, *, libc: str | None = None, machines: Iterable[str] = ()) -> Target:
        """Describe CPython in a Linux image; `python` is "3.12" or, if known, "3.12.4"."""
        major, minor, *patch = python.split(".")
        patched = ("python_full_version", "implementation_version") if patch else ()
        environment = {"os_name": "posix", "sys_platform": "linux", "platform_system": "Linux"}
        environment["implementation_name"] = "cpython"
        environment["platform_python_implementation"] = "CPython"
        environment.update(dict.fromkeys(patched, python), python_version=f"{major}.{minor}")
        abi, known = f"cp{major}{minor}", tuple(machines)
        return cls((int(major), int(minor)), abi, libc, None, environment, known)

    @classmethod
    def here(cls) -> Target:
        """Describe the running interpreter, without its architecture and the kernel's version."""
        full, own = platform.python_version().rstrip("+"), sys.implementation
        level = own.version.releaselevel
        suffix = "" if level == "final" else f"{level[0]}{own.version.serial}"
        environment = {
            "os_name": os.name,
            "sys_platform": sys.platform,
            "platform_system": platform.system(),
            "platform_python_implementation": platform.python_implementation(),
            "implementation_name": own.name,
            "implementation_version": ".".join(map(str, own.version[:3])) + suffix,
            "python_version": ".".join(full.split(".")[:2]),
            "python_full_version": full,
        }
        short = {"cpython": "cp", "pypy": "pp"}.get(own.name, own.name)
        threads = "t" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
        major, minor = sys.version_info[:2]
        abi = f"{short}{major}{minor}{threads}"
        return cls((major, minor), abi, *libc_here(), environment)

    def __str__(self) -> str:
        """Return what determines which wheels fit: "glibc 2.36, Python 3.12"."""
        libc = self.libc
        if libc and self.libc_version:
            libc = "{} {}.{}".format(libc, *self.libc_version)
        return ", ".join(filter(None, [libc, "Python {}.{}".format(*self.python)]))


def libc_here() -> tuple[str | None, tuple[int, int] | None]:
    """Return the C library and its version; musl's loader prints its version on stderr."""
    loaders = sorted(Path("/lib").glob("ld-musl-*.so.1"))
    if loaders and platform.libc_ver()[0] != "glibc":
        run = subprocess.run([str(loaders[0])], capture_output=True, text=True, check=False)
        name, found = "musl", re.search(r"Version (\d+)\.(\d+)", run.stderr)
    else:
        name, found = "glibc", re.match(r"(\d+)\.(\d+)", platform.libc_ver()[1])
    return (name, (int(found[1]), int(found[2]))) if found else (None, None)
