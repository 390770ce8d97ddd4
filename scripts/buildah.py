"""Run buildah from Debian sid, whose libraries are newer than those of the test machines.

It runs in its own root folder, in the engines' state directory, and in its own mount namespace, so
its mounts disappear when it ends. It needs root, like the engines.
"""

from __future__ import annotations

import os
import resource
import subprocess
from typing import TYPE_CHECKING

import debs
from processes import SYSTEM_PATH, EngineError, lock

if TYPE_CHECKING:
    from pathlib import Path

_REGISTRIES = """\
unqualified-search-registries = ["docker.io"]
[[registry]]
prefix = "docker.io"
location = "{registry}"
insecure = true
[[registry]]
location = "{registry}"
insecure = true
"""
# The root must be a mount point, because buildah makes the mount at / private.
_ENTER = """\
set -e
root=$1 storage=$2
shift 2
mount --bind "$root" "$root"
for folder in dev proc sys; do mount --rbind /$folder "$root/$folder"; done
mount --bind "$storage" "$root/storage"
exec chroot "$root" "$@"
"""


class Buildah:
    """A buildah with its own image store, and with a registry on loopback instead of Docker Hub."""

    def __init__(self, root: Path, storage: Path) -> None:
        self.root = root
        self.storage = storage

    @classmethod
    def set_up(cls, state: Path, storage: Path, registry: str) -> Buildah:
        """Unpack buildah on first use; it stores images in the empty folder `storage`."""
        if os.geteuid() != 0:
            raise EngineError("buildah needs root")
        with lock(state):
            debs.install_missing()
            root = debs.unpack_buildah(state)
        (root / "var/tmp").mkdir(parents=True, exist_ok=True)  # where archives are unpacked
        (storage / "tmp").mkdir()
        settings = _REGISTRIES.format(registry=registry)
        (storage / "registries.conf").write_text(settings, encoding="utf-8")
        return cls(root, storage)

    def build(self, context: str, *options: str) -> str:
        """Build a folder inside the image store, on this machine's network; return the log.

        It isolates with `chroot`, because a test machine may not have the rights for containers.
        """
        limits = {"nofile": resource.RLIMIT_NOFILE, "nproc": resource.RLIMIT_NPROC}
        given = (f"--ulimit={name}={resource.getrlimit(key)[0]}" for name, key in limits.items())
        network = ("--isolation=chroot", "--network=host", "--layers")
        return self.run("build", *network, *given, *options, f"/storage/{context}")

    def run(self, *arguments: str) -> str:
        """Run a buildah command; return stdout and stderr."""
        enter = ["unshare", "--mount", "--propagation=private", "sh", "-c", _ENTER, "sh"]
        buildah = ["buildah", "--root=/storage/images", "--runroot=/storage/run"]
        done = subprocess.run(
            [*enter, self.root, self.storage, *buildah, *arguments],
            cwd="/",
            env={
                "PATH": SYSTEM_PATH,
                "HOME": "/root",
                "TMPDIR": "/storage/tmp",
                "CONTAINERS_REGISTRIES_CONF": "/storage/registries.conf",
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
        if done.returncode:
            raise EngineError(f"buildah {' '.join(arguments)}\nfailed:\n{done.stdout}")
        return done.stdout
