"""Tests of opening images: which place is asked, and one error for each reason it fails."""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from base_images import docker_archive, oci_archive, put_image, tar
from hostile_registry import HostileRegistry, hostile_registry
from oci_layouts import Layout

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.images.open_image import open_image

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MISSING = "Error response from daemon: No such image: shop:1"
CONFIG = {"os": "linux", "architecture": "arm64", "config": {"Labels": {"a": "b"}}}


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """Return an empty layout."""
    return Layout(tmp_path / "layout")


@pytest.fixture
def registry() -> Iterator[HostileRegistry]:
    """Serve a registry."""
    with hostile_registry() as served:
        yield served


class Docker:
    """A client whose engine has one image, or does not answer."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "log"
        self.log.touch()

    def has(self, described: dict[str, Any], archive: bytes) -> None:
        """Let the engine have an image."""
        (self.folder / "inspect").write_text(json.dumps([described]))
        (self.folder / "archive").write_bytes(archive)
        save = f"cat {self.folder}/archive"
        self.answers(f'case "$2" in inspect) cat {self.folder}/inspect;; save) {save};; esac')

    def answers(self, script: str) -> None:
        """Let the client run a script."""
        file = self.folder / "docker"
        file.write_text(f'#!/bin/sh\necho "$@" >>{self.log}\n{script}\n'.replace("\\\n", "\n"))
        file.chmod(0o755)


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Docker:
    """Put a client on PATH; its engine has no image."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    client = Docker(folder)
    client.answers(f"echo '{MISSING}' >&2; exit 1")
    return client


def push(registry: HostileRegistry, layout: Layout, digest: str) -> str:
    """Copy an image to the registry; return its name."""
    for file in layout.folder.rglob("blobs/sha256/*"):
        registry.blobs["shop", f"sha256:{file.name}"] = file.read_bytes()
    body = layout.path(digest).read_bytes()
    stored = (json.loads(body)["mediaType"], body)
    registry.manifests["shop", digest] = registry.manifests["shop", "1"] = stored
    return f"{registry.host}/shop:1"


def contents(name: str, platform: str | None = None, *, local: bool | None = None) -> list[bytes]:
    """Return the layers of an image."""
    with open_image(name, platform=platform, local=local) as image:
        return [layer.read() for layer in image.layers()]


@pytest.mark.parametrize("kind", ["docker", "oci"])
def test_image_of_the_engine_is_saved_when_its_layers_are_read(
    kind: str, docker: Docker, layout: Layout
) -> None:
    """The stores of engines give different archives; the registry is not asked."""
    layers = [tar({"a": b"x"}), tar({"b": b"y"})]
    archive = docker_archive(CONFIG, *layers)
    if kind == "oci":
        digest = put_image(layout, *layers, config=CONFIG["config"], platform=("linux", "arm64"))
        archive = oci_archive(layout, digest)
    ids = [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers]
    described = {"Id": "1" * 64, "Os": "linux", "Architecture": "arm64", "RootFS": {"Layers": ids}}
    docker.has({**described, "Config": CONFIG["config"]}, archive)
    with open_image("shop:1") as image:
        assert (image.place, image.platform) == ("engine", "linux/arm64")
        assert (image.labels, image.digest) == ({"a": "b"}, f"sha256:{'1' * 64}")
        assert "save" not in docker.log.read_text()
        assert [layer.read() for layer in image.layers()] == layers
    docker.has({**described, "RootFS": {"Layers": ids[:1]}}, archive)
    with pytest.raises(DockerCacheError, match="saves another image"):
        contents("shop:1")


def test_registry_is_asked_if_the_engine_lacks_the_image(
    docker: Docker, registry: HostileRegistry, layout: Layout
) -> None:
    """Or has it for another platform, or is not asked."""
    layer = tar({"a": b"x"})
    name = push(registry, layout, put_image(layout, layer))
    assert contents(name, "linux/amd64") == [layer]
    docker.has({"Id": "x", "Os": "linux", "Architecture": "arm64", "RootFS": {}}, b"")
    assert contents(name, "linux/amd64") == [layer]
    assert contents(name, "linux/amd64", local=False) == [layer]


def test_image_that_is_nowhere_is_an_error(docker: Docker, registry: HostileRegistry) -> None:
    """The error names both places; Docker Hub is not asked for a name of this project."""
    for name, text in (
        (f"{registry.host}/shop:2", "There is no image .*shop:2 in its registry.*engine does not"),
        ("shop:1", "There is no image shop:1 here: the engine does not have it"),
    ):
        with pytest.raises(DockerCacheError, match=text):
            contents(name)
    docker.answers("echo 'Cannot connect to the Docker daemon' >&2; exit 1")
    with pytest.raises(DockerCacheError, match="here: the engine does not answer: Cannot connect"):
        contents("shop:1")
    assert not [path for _, path, _ in registry.log if "library" in path]


def test_registry_without_access_is_an_error(docker: Docker) -> None:
    """The error says to log in."""
    del docker
    with (
        hostile_registry(asks_for_login=True) as served,
        pytest.raises(DockerCacheError, match=r"denies access(.|\n)*docker login"),
    ):
        contents(f"{served.host}/shop:1")


def test_truncated_blob_of_a_registry_is_an_error(
    docker: Docker, registry: HostileRegistry, layout: Layout
) -> None:
    """Even if its archive looks complete."""
    del docker
    name = push(registry, layout, put_image(layout, tar({"a": b"x" * 900}), compress=bytes))
    largest = max(registry.blobs, key=lambda key: len(registry.blobs[key]))
    registry.blobs[largest] = registry.blobs[largest][:-1]
    with pytest.raises(DockerCacheError, match="is damaged: size or digest differ"):
        contents(name, "linux/amd64")
