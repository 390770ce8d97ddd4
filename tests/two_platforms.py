"""Base images for two platforms that this machine runs by itself: linux/amd64 and linux/386."""

from __future__ import annotations

import platform
import subprocess
from typing import TYPE_CHECKING

import debian
from acme import IMAGE_PYTHON
from engine import default_state
from engines import unavailable
from processes import EngineError, lock

if TYPE_CHECKING:
    from pathlib import Path

STATE = default_state()
"""Found before a test's home is a temporary folder."""
CRANE = STATE / "root/usr/bin/crane"
TAG = f"{IMAGE_PYTHON}-slim"


def provide(registry: str) -> tuple[str, str]:
    """Have an image for both platforms in the registry, and one for linux/386 alone; give both.

    As official images are, each is an index. They are no `library/python`: that is the base image
    of all other tests, and stays what it is.
    """
    if platform.machine() != "x86_64" or not CRANE.exists():
        unavailable("only a private engine on x86_64 has another platform that it runs natively")
    try:
        with lock(STATE):
            tarball = debian.rootfs(STATE, TAG, "i386")
    except (EngineError, OSError) as error:
        unavailable(f"no root file system for linux/386: {error}")
    native = f"{registry}/library/python:{TAG}"
    other = _push(registry, tarball)
    both, alone = f"{registry}/both/python:{TAG}", f"{registry}/alone/python:{TAG}"
    _crane("index", "append", "-m", native, "-m", other, "-t", both)
    _crane("index", "append", "-m", other, "-t", alone)
    return both, alone


def _push(registry: str, tarball: Path) -> str:
    staging, image = f"{registry}/both/staging:{TAG}", f"{registry}/both/i386:{TAG}"
    _crane("append", "--oci-empty-base", "-f", str(tarball), "-t", staging)
    environment = [f"--env={key}={value}" for key, value in debian.image_environment().items()]
    mutation = ["--cmd", "python3", "--set-platform", "linux/386", *environment]
    _crane("mutate", staging, "-t", image, *mutation)
    return image


def _crane(*arguments: str) -> None:
    done = subprocess.run([CRANE, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"crane {arguments}: {done.stderr}"
