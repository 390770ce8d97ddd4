"""The image registry on loopback: takes pushes, and is the engines' mirror of Docker Hub."""

from __future__ import annotations

import http
import http.client
import json
import shutil
from typing import TYPE_CHECKING

import debian
from processes import SYSTEM_PATH, Daemon, EngineError, run, say

if TYPE_CHECKING:
    from pathlib import Path

HOST, PORT = "127.0.0.1", 5000
ADDRESS = f"{HOST}:{PORT}"


class Registry:
    """One registry per machine, started with the first engine and ended with the last."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.folder = state / "registry"
        self.daemon = Daemon(self.folder / "registry.json")

    def up(self) -> None:
        """Start it, or use the one that already answers on its port."""
        if _answers():
            if self.daemon.pid is None:
                say(f"using a registry that was already on {ADDRESS}")
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        config = {
            "version": 0.1,
            "log": {"level": "warn", "accesslog": {"disabled": True}},
            "storage": {
                "filesystem": {"rootdirectory": str(self.folder / "data")},
                "delete": {"enabled": True},
            },
            "http": {"addr": ADDRESS},
        }
        path = self.folder / "config.yml"
        path.write_text(json.dumps(config), encoding="utf-8")  # JSON is YAML
        binary = self.state / "root/usr/bin/docker-registry"
        self.daemon.start([binary, "serve", path], {"PATH": SYSTEM_PATH})
        self.daemon.wait(_answers)

    def provide(self, tag: str) -> None:
        """Have python:TAG in the registry."""
        name = f"library/python:{tag}"
        if _get(f"/v2/library/python/manifests/{tag}") == http.HTTPStatus.OK:
            return
        tarball = debian.rootfs(self.state, tag)
        say(f"pushing python:{tag}")
        crane, reference = self.state / "root/usr/bin/crane", f"{ADDRESS}/{name}"
        # Straight into the registry, so that every engine starts empty and has to pull.
        staging = f"{ADDRESS}/library/python-staging:{tag}"
        run([crane, "append", "--oci-empty-base", "-f", tarball, "-t", staging])
        settings: list[str] = []
        for key, value in debian.image_environment().items():
            settings += ["--env", f"{key}={value}"]
        platform = f"linux/{debian.architecture()}"
        mutate: list[str | Path] = [
            crane,
            "mutate",
            staging,
            "--set-platform",
            platform,
            "--cmd",
            "python3",
        ]
        run([*mutate, *settings, "-t", reference])

    def down(self) -> None:
        """Stop it and forget what was pushed."""
        self.daemon.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def _get(path: str) -> int:
    connection = http.client.HTTPConnection(HOST, PORT, timeout=10)
    accept = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json"
    try:
        connection.request("GET", path, headers={"Accept": accept})
        return connection.getresponse().status
    except ConnectionRefusedError:
        return 0
    except (OSError, http.client.HTTPException) as error:
        raise EngineError(f"what listens on {ADDRESS} is no registry: {error}") from error
    finally:
        connection.close()


def _answers() -> bool:
    return _get("/v2/") == http.HTTPStatus.OK
