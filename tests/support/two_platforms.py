"""Base images for two platforms that one machine runs natively: linux/amd64 and linux/386."""

from __future__ import annotations

import platform
import subprocess
from typing import TYPE_CHECKING

import debian
from elf_files import make_elf
from engine import default_state
from engines import unavailable
from processes import EngineError, lock

if TYPE_CHECKING:
    from pathlib import Path

STATE = default_state()
"""Determined at import, before a test replaces the home folder."""
CRANE = STATE / "root/usr/bin/crane"
PYTHON = "3.11"
"""From Debian 12, the last release with full support for i386."""
AARCH64 = 183
"""The number in ELF files."""
TAG = f"{PYTHON}-slim"


def provide(registry: str) -> tuple[str, str]:
    """Push an image for both platforms and one for linux/arm64 only; return both names.

    Like official images, each is an index. The second one cannot run anything.
    """
    if platform.machine() != "x86_64" or not CRANE.exists():
        unavailable("only a private engine on x86_64 has another platform that it runs natively")
    try:
        with lock(STATE, debian.LOCK):
            tarballs = {"amd64": debian.rootfs(STATE, TAG)}
            tarballs["386"] = debian.rootfs(STATE, TAG, "i386")
    except (EngineError, OSError) as error:
        unavailable(f"no root file systems: {error}")
    native, other = (_push(registry, *item) for item in tarballs.items())
    foreign = _push(registry, "arm64", tarballs["386"])
    both, alone = f"{registry}/both/python:{TAG}", f"{registry}/alone/python:{TAG}"
    _crane("index", "append", "-m", native, "-m", other, "-t", both)
    _crane("index", "append", "-m", foreign, "-t", alone)
    return both, alone


def provide_foreign(registry: str, folder: Path) -> str:
    """Push an image for linux/amd64 and linux/arm64, where nothing can run; return its name.

    It has the paths of the other one, and a C library.
    """
    native = provide(registry)[0]
    root = folder / "root"
    for path in (f"usr/bin/python{PYTHON}", "usr/lib/aarch64-linux-gnu/libc.so.6"):
        make_elf(root / path, machine=AARCH64)
    links = {"lib": "usr/lib", "usr/bin/python3": f"python{PYTHON}"}
    links |= {f"usr/local/bin/{name}": f"/usr/bin/{name}" for name in ("python", "python3")}
    links["usr/bin/python"] = "python3"
    for path, target in links.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).symlink_to(target)
    tarball = folder / "root.tar"
    subprocess.run(["tar", "-C", root, "-cf", tarball, "."], check=True)
    foreign = _push(registry, "arm64", tarball)
    both = f"{registry}/foreign/python:{TAG}"
    _crane(
        "index",
        "append",
        "-m",
        f"{native.replace('both/python', 'both/amd64')}",
        "-m",
        foreign,
        "-t",
        both,
    )
    return both


def files_of(image: str, target: str, folder: Path) -> Path:
    """Unpack the files of one platform of an image in a registry."""
    tarball = folder / "image.tar"
    _crane("export", "--platform", target, image, str(tarball))
    subprocess.run(["tar", "-C", folder, "-xf", tarball], check=True)
    return folder


def _push(registry: str, architecture: str, tarball: Path) -> str:
    image = f"{registry}/both/{architecture}:{TAG}"
    staging = f"{image}-staging"
    _crane("append", "--oci-empty-base", "-f", str(tarball), "-t", staging)
    environment = [f"--env={key}={value}" for key, value in debian.image_environment().items()]
    mutation = ["--cmd", "python3", "--set-platform", f"linux/{architecture}", *environment]
    _crane("mutate", staging, "-t", image, *mutation)
    return image


def _crane(*arguments: str) -> None:
    done = subprocess.run([CRANE, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"crane {arguments}: {done.stderr}"
