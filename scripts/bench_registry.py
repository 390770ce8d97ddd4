"""The benchmark's own registry, whose log shows what was pushed and pulled."""

from __future__ import annotations

import contextlib
import json
import tarfile
import time
import urllib.request
from typing import TYPE_CHECKING, Any

import bench_log
import debian
from processes import SYSTEM_PATH, Daemon, free_port, lock, run

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from engine import Engine
    from typing_extensions import Self

HOST = "127.0.0.1"
_KINDS = ("oci.image.index.v1", "oci.image.manifest.v1")
_ACCEPT = ", ".join(f"application/vnd.{kind}+json" for kind in _KINDS)


class CountingRegistry:
    """A docker-registry in its own folder, running while the context is open."""

    def __init__(self, folder: Path, state: Path) -> None:
        self._data = folder / "data"
        self._binary = state / "root/usr/bin/docker-registry"
        self._config = folder / "config.yml"
        self._daemon = Daemon(folder / "registry.json")
        self.address = f"{HOST}:{free_port()}"
        self._read = 0

    def __enter__(self) -> Self:
        """Start the registry."""
        config = {
            "version": 0.1,
            "log": {"level": "info", "formatter": "json", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": str(self._data)}},
            "http": {"addr": self.address},
        }
        self._config.write_text(json.dumps(config), encoding="utf-8")  # JSON is YAML
        self._daemon.start([self._binary, "serve", self._config], {"PATH": SYSTEM_PATH})
        self._daemon.wait(self._answers)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the registry."""
        self._daemon.stop()

    def provide(self, image: str, engine: Engine) -> str:
        """Copy an image from the engine's registry into this one; return its name here."""
        target = f"{self.address}/library/{image}"
        source = f"{engine.env['ENGINE_REGISTRY']}/library/{image}"
        crane = engine.state / "root/usr/bin/crane"
        run([crane, "copy", "--insecure", source, target])
        return target

    def add_moved(self, image: str, engine: Engine) -> None:
        """Make the image that the tag of a base image moves to: it has one more small layer."""
        layer = self._config.with_name("newer.tar")
        with tarfile.open(layer, "w") as tar:
            tar.addfile(tarfile.TarInfo("etc/newer"))
        crane = engine.state / "root/usr/bin/crane"
        run([crane, "append", "-b", image, "-f", layer, "-t", f"{image}-moved"])

    @contextlib.contextmanager
    def moved(self, images: Iterable[str], engine: Engine) -> Iterator[None]:
        """Move the tags of base images while the context is open."""
        crane = engine.state / "root/usr/bin/crane"
        tags = {image: image.rpartition(":")[2] for image in images}
        for image, tag in tags.items():
            run([crane, "tag", image, f"{tag}-first"])
            run([crane, "tag", f"{image}-moved", tag])
        try:
            yield
        finally:
            for image, tag in tags.items():
                run([crane, "tag", f"{image}-first", tag])

    def add_platform(self, image: str, tag: str, architecture: str, engine: Engine) -> None:
        """Add another platform to an image here; nothing in it can run on this machine."""
        with lock(engine.state, debian.LOCK):
            tarball = debian.rootfs(engine.state, tag, architecture)
        crane = engine.state / "root/usr/bin/crane"
        other = f"{image}-{architecture}"
        run([crane, "append", "--oci-empty-base", "-f", tarball, "-t", f"{other}-staging"])
        options = ["--cmd=python3", f"--set-platform=linux/{architecture}"]
        options += [f"--env={key}={value}" for key, value in debian.image_environment().items()]
        # As in official images. The packages are only unpacked, so no database has their version.
        options.append(f"--env=PYTHON_VERSION={tag.partition('-')[0]}.0")
        run([crane, "mutate", f"{other}-staging", "-t", other, *options])
        run([crane, "index", "append", "-m", image, "-m", other, "-t", image])

    def traffic(self) -> bench_log.Traffic:
        """Return the traffic since the last call."""
        time.sleep(0.2)  # the registry writes a line after its answer
        with self._daemon.log.open("rb") as log:
            log.seek(self._read)
            lines = log.read()
            self._read = log.tell()
        return bench_log.traffic(lines.decode(errors="replace").splitlines(), self._size)

    def image_size(self, repository: str, tag: str) -> int:
        """Return the compressed size of an image's layers."""
        found = self._manifest(repository, tag)
        if "manifests" in found:
            digest = next(
                entry["digest"]
                for entry in found["manifests"]
                if entry["platform"]["os"] == "linux"
            )
            found = self._manifest(repository, digest)
        return sum(layer["size"] for layer in found["layers"])

    def _manifest(self, repository: str, reference: str) -> dict[str, Any]:
        url = f"http://{self.address}/v2/{repository}/manifests/{reference}"
        request = urllib.request.Request(url, headers={"Accept": _ACCEPT})
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            return dict(json.load(answer))

    def _size(self, digest: str) -> int:
        algorithm, _, value = digest.partition(":")
        blobs = self._data / "docker/registry/v2/blobs"
        return (blobs / algorithm / value[:2] / value / "data").stat().st_size

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://{self.address}/v2/"):
            return True
        return False
