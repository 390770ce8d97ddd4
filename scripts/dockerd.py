"""A containerd and a dockerd that share nothing with others on the machine."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from processes import SYSTEM_PATH, Daemon, end_shims, kill, unmount_below, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

CGROUPS = Path("/sys/fs/cgroup")


class Daemons:
    """The two daemons of an engine, with one folder for data and one for sockets."""

    def __init__(self, folder: Path, run_dir: Path, cgroup: str) -> None:
        self.folder = folder
        self.run_dir = run_dir
        self.cgroup = cgroup
        self.socket = run_dir / "docker.sock"
        self.dockerd = Daemon(folder / "dockerd.json")
        self.containerd = Daemon(folder / "containerd.json")

    @property
    def running(self) -> bool:
        """Whether dockerd runs and answers."""
        return self.dockerd.pid is not None and self._pings()

    def start(self, root: Path, settings: dict[str, object]) -> None:
        """Start both from the unpacked packages; `settings` extend dockerd's configuration."""
        self.run_dir.mkdir(parents=True)
        plugins = self.folder / "docker-config" / "cli-plugins"
        plugins.mkdir(parents=True)
        buildx = root / "usr/libexec/docker/cli-plugins/docker-buildx"
        (plugins / "docker-buildx").symlink_to(buildx)
        path = f"{root}/usr/sbin:{root}/usr/bin:{root}/usr/libexec/docker:{SYSTEM_PATH}"
        env = {"PATH": path, "HOME": str(self.folder), "TMPDIR": str(self.folder)}
        # BuildKit puts the SSH agent's socket among its temporary files, and a socket needs a short
        # path. The files may be large and /run is in memory, so the path is a link.
        temporary = self.run_dir / "tmp"
        (self.folder / "tmp").mkdir()
        temporary.symlink_to(self.folder / "tmp")
        env["DOCKER_TMPDIR"] = str(temporary)
        # Docker 20.10 needs a library that is unpacked with it.
        if libraries := [*root.glob("lib/*-linux-gnu"), *root.glob("usr/lib/*-linux-gnu")]:
            env["LD_LIBRARY_PATH"] = os.pathsep.join(map(str, libraries))

        grpc = self.run_dir / "containerd.sock"
        toml = self.folder / "containerd.toml"
        toml.write_text(self._containerd_config(grpc), encoding="utf-8")
        self.containerd.start([root / "usr/bin/containerd", "--config", toml], env)
        self.containerd.wait(grpc.exists)

        config = {
            "data-root": str(self.folder / "data"),
            "exec-root": str(self.run_dir / "exec"),
            "hosts": [f"unix://{self.socket}"],
            "pidfile": str(self.run_dir / "dockerd.pid"),
            "containerd": str(grpc),
            # with cgroupfs and a separate parent, all control groups can be removed
            "exec-opts": ["native.cgroupdriver=cgroupfs"],
            "cgroup-parent": f"/{self.cgroup}",
            # Builds must stay in the cache even if the disk is full; see below.
            "builder": {"gc": {"enabled": False}},
            **settings,
        }
        file = self.folder / "daemon.json"
        file.write_text(json.dumps(config, indent=1), encoding="utf-8")
        self.dockerd.start([root / "usr/sbin/dockerd", "--config-file", file], env)
        self.dockerd.wait(self._pings)

    def stop(self) -> None:
        """Kill both, and remove their containers, shims, mounts and control groups.

        An orderly stop would wait ten seconds for each container, and the data is not needed any
        more. After a crash, the same steps clean up.
        """
        self.dockerd.stop(0)
        self.containerd.stop(0)
        end_shims(self.run_dir)
        self._end_containers()
        unmount_below(self.run_dir)
        unmount_below(self.folder)
        for folder in self._cgroups():
            with contextlib.suppress(OSError):
                folder.rmdir()

    def _cgroups(self) -> Iterator[Path]:
        """Find the engine's control groups, the innermost first; version 1 has one per resource."""
        for parent in (CGROUPS / self.cgroup, *CGROUPS.glob(f"*/{self.cgroup}")):
            for folder, _, _ in os.walk(parent, topdown=False):
                yield Path(folder)

    def _end_containers(self) -> None:
        """Kill all processes in containers and builds, and wait until they have ended."""

        def empty() -> bool:
            pids: set[str] = set()
            for folder in self._cgroups():
                with contextlib.suppress(OSError):
                    pids.update((folder / "cgroup.procs").read_text(encoding="ascii").split())
            for pid in pids:
                kill(int(pid))
            return not pids

        wait_until(empty, 60, "ending containers")

    def _containerd_config(self, grpc: Path) -> str:
        quote = json.dumps  # a JSON string is a TOML string
        # "cri" would listen for Kubernetes, and "opt" would create a folder in /opt.
        unused = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
        # The share of time for garbage collection, so small that only explicit removals are done.
        # Otherwise a build that replaces an image may lose layers that it is built on
        # (moby/buildkit#6521).
        scheduler = '[plugins."io.containerd.gc.v1.scheduler"]\npause_threshold = 0.000001\n'
        return (
            f"version = 2\nroot = {quote(str(self.folder / 'containerd'))}\n"
            f"state = {quote(str(self.run_dir / 'containerd'))}\n"
            f"disabled_plugins = {quote(unused)}\n[grpc]\naddress = {quote(str(grpc))}\n"
            f"{scheduler}"
        )

    def _pings(self) -> bool:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            connection.connect(str(self.socket))
            connection.sendall(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")
            return b" 200 " in connection.recv(64)
        return False
