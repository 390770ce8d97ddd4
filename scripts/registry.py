"""An image registry on loopback, for pushes and as the engines' mirror of Docker Hub."""

from __future__ import annotations

import contextlib
import http
import http.client
import json
import shutil
import socket
from typing import TYPE_CHECKING

import debian
from processes import SYSTEM_PATH, Daemon, EngineError, free_port, lock, run, say

if TYPE_CHECKING:
    from pathlib import Path

HOST = "127.0.0.1"
USUAL_PORT = 5000


class Registry:
    """The registry of all engines, started with the first one and stopped with the last one."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.folder = state / "registry"
        self.config = self.folder / "config.yml"
        self.daemon = Daemon(self.folder / "registry.json")

    @property
    def address(self) -> str:
        """The host and port of the running registry."""
        if not self.config.exists():
            raise EngineError("the registry is not running")
        return str(json.loads(self.config.read_text(encoding="utf-8"))["http"]["addr"])

    def up(self) -> None:
        """Start the registry unless it runs."""
        with contextlib.suppress(EngineError):  # wait, because it may be busy
            self.daemon.wait(self._answers)
            return
        self.daemon.stop()
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self.config.exists():  # after a crash, keep the port, which engines are using
            config = {
                "version": 0.1,
                "log": {"level": "warn", "accesslog": {"disabled": True}},
                "storage": {
                    "filesystem": {"rootdirectory": str(self.folder / "data")},
                    "delete": {"enabled": True},
                },
                "http": {"addr": f"{HOST}:{_free_port()}"},
            }
            self.config.write_text(json.dumps(config), encoding="utf-8")  # JSON is YAML
        binary = self.state / "root/usr/bin/docker-registry"
        self.daemon.start([binary, "serve", self.config], {"PATH": SYSTEM_PATH})
        self.daemon.wait(self._answers)

    def provide(self, tag: str) -> None:
        """Push python:TAG unless the registry has it."""
        if self._get(f"/v2/library/python/manifests/{tag}") == http.HTTPStatus.OK:
            return
        with lock(self.state, debian.LOCK):
            self._push(tag, debian.rootfs(self.state, tag))

    def _push(self, tag: str, tarball: Path) -> None:
        say(f"pushing python:{tag}")
        crane = str(self.state / "root/usr/bin/crane")
        image = f"{self.address}/library/python:{tag}"
        # Pushed without an engine, so that every engine starts empty and has to pull.
        staging = f"{self.address}/library/python-staging:{tag}"
        run([crane, "append", "--oci-empty-base", "-f", tarball, "-t", staging])
        mutate = [crane, "mutate", staging, "-t", image, "--cmd", "python3"]
        mutate += ["--set-platform", f"linux/{debian.architecture()}"]
        for key, value in debian.image_environment().items():
            mutate += ["--env", f"{key}={value}"]
        run(mutate)

    def down(self) -> None:
        """Stop the registry and remove its images."""
        self.daemon.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _answers(self) -> bool:
        return self._get("/v2/") == http.HTTPStatus.OK

    def _get(self, path: str) -> int:
        connection = http.client.HTTPConnection(self.address, timeout=10)
        accept = "application/vnd.oci.image.manifest.v1+json"
        try:
            connection.request("GET", path, headers={"Accept": accept})
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            connection.close()


def _free_port() -> int:
    """Return the usual port, or another one if it is in use."""
    with contextlib.suppress(OSError), socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((HOST, USUAL_PORT))
        return USUAL_PORT
    return free_port()
