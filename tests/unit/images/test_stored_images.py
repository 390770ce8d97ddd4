"""Tests of images in archives and registries: which platform, which layers, and what is wrong."""

from __future__ import annotations

import functools
import gzip
import io
import json
import tarfile
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from base_images import docker_archive, oci_archive, put_image, put_index, tar
from oci_layouts import Layout

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.images.archived_image import open_archive
from poetry_docker_cache.images.layer_sizes import layer_sizes
from poetry_docker_cache.images.open_image import open_image
from poetry_docker_cache.images.registry_image import read_registry_image

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from poetry_docker_cache.images.stored_image import StoredImage

NAME = "registry.test/shop:1"
LABELS: dict[str, Any] = {"User": "10001", "Labels": {"a": "b"}, "Env": ["PATH=/venv/bin"]}
ARMS = {"os": "linux", "architecture": "arm64", "config": LABELS}


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """Return an empty layout."""
    return Layout(tmp_path / "layout")


def names(image: StoredImage) -> list[list[str]]:
    """Return the names of the files in each layer, read in part."""
    found = []
    for layer in image.layers():
        with tarfile.open(fileobj=layer, mode="r|") as archive:
            found.append([member.name for member in archive])
    return found


def archived(content: bytes, platform: str | None = None) -> list[list[str]]:
    """Return the names of the files in an archived image."""
    with open_archive(io.BytesIO(content), "shop.tar", platform) as image:
        return names(image)


def test_configuration_is_read_without_layers(layout: Layout) -> None:
    """Labels, user and variables need one small blob."""
    digest = put_image(layout, tar({"a": b"x"}), config=LABELS)
    image = read_registry_image(layout, NAME.replace(":1", f"@{digest}"), None)
    assert (image.labels, image.settings["User"], image.variables) == (
        {"a": "b"},
        "10001",
        {"PATH": "/venv/bin"},
    )
    assert (image.digest, image.place, len(layout.read)) == (digest, "registry", 1)
    assert names(image) == [["./a"]]


@pytest.mark.parametrize("compress", [functools.partial(gzip.compress, mtime=0), bytes])
def test_layers_come_bottom_first_whatever_their_compression(
    compress: Callable[[bytes], bytes], layout: Layout
) -> None:
    """The media type does not matter."""
    digest = put_image(layout, tar({"a": b"x"}), tar({"b": b"y"}), compress=compress)
    assert archived(oci_archive(layout, digest)) == [["./a"], ["./b"]]


def test_archive_of_an_older_engine_links_equal_layers() -> None:
    """The second of two equal layers is a link to the first."""
    same = tar({"a": b"x"})
    assert archived(docker_archive(ARMS, same, tar({"b": b"y"}), same)) == [
        ["./a"],
        ["./b"],
        ["./a"],
    ]


@pytest.mark.parametrize(("platform", "found"), [("linux/arm64", ["./arm"]), (None, ["./amd"])])
def test_platform_is_the_wanted_one_or_that_of_this_machine(
    platform: str | None, found: list[str], layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Indexes may be nested, and have entries for attestations and absent platforms."""
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    images = {
        "unknown/unknown": "sha256:0",
        "linux/s390x": f"sha256:{'1' * 64}",
        "linux/amd64": put_image(layout, tar({"amd": b""})),
        "linux/arm64/v8": put_image(layout, tar({"arm": b""}), platform=("linux", "arm64", "v8")),
    }
    assert archived(oci_archive(layout, put_index(layout, images)), platform) == [found]


@pytest.mark.parametrize(
    ("platform", "text"),
    [
        ("linux/s390x", "does not exist for linux/s390x, only for linux/386, linux/arm64"),
        (None, "exists for linux/386, linux/arm64, but not for this machine"),
    ],
)
def test_other_platform_is_an_error(
    platform: str | None, text: str, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error lists the platforms."""
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    images = {
        name: put_image(layout, tar({}), platform=name.split("/"))
        for name in ("linux/arm64", "linux/386")
    }
    with pytest.raises(DockerCacheError, match=text):
        archived(oci_archive(layout, put_index(layout, images)), platform)


@pytest.mark.parametrize("archive", ["oci", "docker"])
def test_only_image_of_another_platform_is_an_error_if_asked_for(
    archive: str, layout: Layout
) -> None:
    """Without a platform, it is read."""
    digest = put_image(layout, tar({"a": b""}), platform=("linux", "arm64"))
    content = oci_archive(layout, digest) if archive == "oci" else docker_archive(ARMS, tar({}))
    assert archived(content)
    with pytest.raises(DockerCacheError, match="for linux/amd64, only for linux/arm64"):
        archived(content, "linux/amd64")


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (lambda layer: gzip.compress(layer)[:-20], r"layer 2 of 2 cannot be read: .*end"),
        (lambda layer: gzip.compress(layer[:-512]), "the digest of layer 2 of 2 differs"),
        (lambda layer: gzip.compress(layer[:700]), "layer 2 of 2"),
        (lambda layer: layer[:700], "layer 2 of 2"),
        (lambda layer: gzip.compress(layer)[:12] + b"\xff" * 40, "layer 2 of 2 cannot be read"),
    ],
)
def test_damaged_layer_is_an_error(
    damage: Callable[[bytes], bytes], text: str, layout: Layout
) -> None:
    """It is truncated, or another layer: the error says which one."""
    first, second = tar({"a": b"x"}), tar({"b": b"y" * 2000})
    digest = put_image(
        layout, first, second, compress=lambda layer: damage(layer) if layer == second else layer
    )
    with pytest.raises(DockerCacheError, match=rf"shop\.tar is damaged: .*{text}"):
        archived(oci_archive(layout, digest))


def cut(content: bytes) -> bytes:
    """Return the first part of an archive."""
    return content[: len(content) // 2]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda _: b"", "is not an archive of an image"),
        (lambda _: b"text" * 500, "is not an archive of an image"),
        (lambda _: tar({"a": b""}), "is not an archive of an image"),
        (cut, "is damaged"),
        (lambda content: content.replace(b'"layers"', b'"player"'), "digest"),
    ],
)
def test_damaged_archive_is_an_error(
    change: Callable[[bytes], bytes], text: str, layout: Layout
) -> None:
    """The error names the file."""
    content = oci_archive(layout, put_image(layout, tar({"a": b"x" * 5000}), compress=bytes))
    with pytest.raises(DockerCacheError, match=rf"shop\.tar {text}|shop\.tar .*{text}"):
        archived(change(content))


@pytest.mark.parametrize("content", [{}, {"layers": []}, {"manifests": 3}, {"layers": 1}, []])
def test_strange_manifest_is_an_error(content: object, layout: Layout) -> None:
    """It has not the fields of a manifest."""
    digest = layout.put(json.dumps(content).encode())
    with pytest.raises(DockerCacheError, match="is damaged"):
        archived(oci_archive(layout, digest))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("missing.tar", "archive missing.tar cannot be read: No such file"),
        ("A B", "'A B' is not the name of an image"),
        ("", "'' is not the name of an image"),
        ("-v", "'-v' is not the name of an image"),
    ],
)
def test_name_that_cannot_be_opened_is_an_error(
    name: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is found before any engine or registry is asked."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DockerCacheError, match=text), open_image(name):
        pass


def test_archive_is_opened_by_its_path(tmp_path: Path, layout: Layout) -> None:
    """A name with `.tar` at its end is a path."""
    digest = put_image(layout, tar({"a": b""}))
    path = tmp_path / "shop.tar"
    path.write_bytes(oci_archive(layout, digest))
    with open_image(str(path), platform="x86_64") as image:
        assert (image.digest, image.platform, image.place) == (digest, "linux/amd64", "archive")


def test_dependency_layers_are_named_by_the_history(layout: Layout) -> None:
    """The layers of the base may have none, and empty steps have no layer."""
    steps = [
        {"created_by": "ENV A=b", "empty_layer": True},
        {"created_by": "COPY /pure-1/../venv /venv # buildkit"},
        {"created_by": "COPY /native-2/../venv /venv"},
        {"created_by": "COPY /application/venv /venv # buildkit"},
    ]
    layers = [tar({"a": b"x" * 20_000 * number}) for number in range(4)]
    digest = put_image(layout, *layers, extra={"history": steps}, compress=bytes)
    image = read_registry_image(layout, NAME.replace(":1", f"@{digest}"), None)
    assert layer_sizes(image) == {"pure-1": len(layers[1]), "native-2": len(layers[2])}
    assert layer_sizes(replace(image, stored_sizes=())) == {}
