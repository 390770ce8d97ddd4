"""Tests of configuration, manifest and archive: BuildKit wrote the expected configurations."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

import plans
import pytest
from base_images import put_image
from oci_layouts import Layout

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.no_engine.image_archive import write_archive
from poetry_docker_cache.no_engine.image_config import ImageLayer, make_image, make_index
from poetry_docker_cache.plan.planner import make_plan
from poetry_docker_cache.registry.base_image import Descriptor, read_base
from poetry_docker_cache.settings.table import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from poetry_docker_cache.no_engine.image_config import Image
    from poetry_docker_cache.plan.image_plan import Runtime
    from poetry_docker_cache.registry.base_image import BaseImage

PATH = "/usr/local/bin:/usr/bin"
BASE: dict[str, Any] = {
    "User": "5",
    "ExposedPorts": {"1/tcp": {}},
    "Env": [f"PATH=/opt:{PATH}", "LANG=C", "HOME=/x"],
    "Entrypoint": ["e"],
    "Cmd": ["c"],
    "Volumes": {"/data": {}},
    "Labels": {"z": "1"},
    "StopSignal": "SIGQUIT",
    "ArgsEscaped": True,
    "Healthcheck": {"Test": ["CMD", "x"]},
}
FINAL: dict[str, Any] = {
    **BASE,
    "User": "10001:10001",
    "ExposedPorts": {"1/tcp": {}, "8000/tcp": {}},
    "Env": [
        f"PATH=/venv/bin:/opt:{PATH}",
        "LANG=C",
        "HOME=/home/app",
        "VIRTUAL_ENV=/venv",
        "PYTHONUNBUFFERED=1",
        "USER=app",
    ],
    "WorkingDir": "/app",
    "Labels": {
        "z": "1",
        "org.opencontainers.image.title": "shop",
        "org.opencontainers.image.version": "1.0",
    },
}
LAYER = ImageLayer(
    name="COPY /dependencies/../venv /venv",
    blob=Descriptor(
        media_type="application/vnd.oci.image.layer.v1.tar+gzip",
        digest=f"sha256:{hashlib.sha256(b'own').hexdigest()}",
        size=3,
    ),
    diff_id="sha256:own",
    annotations={"key": "k"},
)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """Return an empty layout."""
    return Layout(tmp_path)


def runtime(**settings: object) -> Runtime:
    """Plan the final image."""
    made = make_plan(plans.project(), Settings.parse(settings), plans.MAIN)
    return made.runtime


def base(layout: Layout, config: dict[str, Any], **keys: Any) -> BaseImage:  # noqa: ANN401
    """Make a base image with one layer."""
    digest = put_image(layout, b"base", config=config, **keys)
    platform = "/".join(keys.get("platform", ("linux", "amd64")))
    return read_base(layout, "base", digest, platform, name="base:1")


def made(layout: Layout, config: dict[str, Any], **settings: object) -> dict[str, Any]:
    """Make an image, and return its configuration."""
    image = make_image(base(layout, config), runtime(**settings), [LAYER], labels={})
    return dict(json.loads(image.config.body))


@pytest.mark.parametrize(
    ("settings", "changes"),
    [
        (
            {"entrypoint": ["shop"], "healthcheck": False},
            {"Entrypoint": ["shop"], "Cmd": None, "Healthcheck": {"Test": ["NONE"]}},
        ),
        ({"entrypoint": [], "command": ["python"]}, {"Entrypoint": None, "Cmd": ["python"]}),
        ({"command": ["python"]}, {"Cmd": ["python"]}),
        ({"command": []}, {"Cmd": None}),
    ],
)
def test_settings_of_the_base_image_are_inherited(
    settings: dict[str, object], changes: dict[str, Any], layout: Layout
) -> None:
    """ENTRYPOINT resets the command of the base; an empty list removes one."""
    expected = {key: value for key, value in {**FINAL, **changes}.items() if value is not None}
    found = made(layout, BASE, ports=[8000], **settings)["config"]
    assert found == expected
    assert found["Env"] == FINAL["Env"]


def test_configuration_has_all_settings(layout: Layout) -> None:
    """Durations are in nanoseconds; history has the layers and all instructions."""
    config = made(
        layout,
        {"Env": [f"PATH={PATH}"], "Cmd": ["python3"]},
        env={"A": 'b $x "q" \\ y', "Z": ""},
        labels={"a.b": "c d"},
        ports=[8000, "9000/udp"],
        healthcheck={
            "command": ["shop"],
            "interval": "1m30.5s",
            "timeout": "3s",
            "start-period": "10s",
            "retries": 5,
        },
        entrypoint=["shop"],
        command=["--x"],
    )
    assert config["config"]["Env"][-2:] == ['A=b $x "q" \\ y', "Z="]
    assert config["config"]["Labels"]["a.b"] == "c d"
    assert config["config"]["ExposedPorts"] == {"8000/tcp": {}, "9000/udp": {}}
    assert config["config"]["Healthcheck"] == {
        "Test": ["CMD", "shop"],
        "Interval": 90_500_000_000,
        "Timeout": 3_000_000_000,
        "StartPeriod": 10_000_000_000,
        "Retries": 5,
    }
    assert config["rootfs"]["diff_ids"][1:] == ["sha256:own"]
    steps = [(step["created_by"], "empty_layer" not in step) for step in config["history"]]
    assert steps == [
        (f"ENV VIRTUAL_ENV=/venv PATH=/venv/bin:{PATH} PYTHONUNBUFFERED=1", False),
        ('ENV HOME=/home/app USER=app A=b $x "q" \\ y Z=', False),
        ("WORKDIR /app", False),
        ("COPY /dependencies/../venv /venv", True),
        (
            (
                "LABEL org.opencontainers.image.title=shop org.opencontainers.image.version=1.0"
                " a.b=c d"
            ),
            False,
        ),
        ("EXPOSE [8000/tcp 9000/udp]", False),
        ('HEALTHCHECK CMD ["shop"]', False),
        ("USER 10001:10001", False),
        ('ENTRYPOINT ["shop"]', False),
        ('CMD ["--x"]', False),
    ]


def test_base_with_another_user_has_home_first(layout: Layout) -> None:
    """The Dockerfile sets HOME for root in the stage below; a base without PATH gets Docker's."""
    found = base(layout, {})
    image = make_image(found, runtime(command=["x"]), [], labels={}, may_have_user=True)
    names = [text.partition("=")[0] for text in json.loads(image.config.body)["config"]["Env"]]
    assert names == ["PATH", "HOME", "VIRTUAL_ENV", "PYTHONUNBUFFERED", "USER"]


def test_time_is_not_that_of_the_clock(layout: Layout) -> None:
    """It is the base image's, or SOURCE_DATE_EPOCH."""
    found = base(layout, {}, extra={"created": "2026-01-02T03:04:05.6Z"})
    image = make_image(found, runtime(), [LAYER], labels={})
    assert json.loads(image.config.body)["created"] == "2026-01-02T03:04:05.6Z"
    image = make_image(found, runtime(), [LAYER], labels={}, epoch="1700000000")
    assert json.loads(image.config.body)["created"] == "2023-11-14T22:13:20Z"


def test_onbuild_needs_an_engine(layout: Layout) -> None:
    """BuildKit runs these instructions of the base image."""
    with pytest.raises(DockerCacheError, match="ONBUILD"):
        made(layout, {"OnBuild": ["RUN x"]})


def test_manifest_names_the_layers(layout: Layout) -> None:
    """Annotations hold the keys; Docker's media types become those of OCI."""
    kind = "application/vnd.docker.image.rootfs.diff.tar.gzip"
    found = base(layout, {}, layer_type=kind)
    image = make_image(found, runtime(), [LAYER], labels={}, annotations={"b": "1", "a": "2"})
    manifest = json.loads(image.manifest.body)
    assert [layer["mediaType"] for layer in manifest["layers"]] == [LAYER.blob.media_type] * 2
    assert manifest["layers"][1]["annotations"] == {"key": "k"}
    assert list(manifest["annotations"].items()) == [("a", "2"), ("b", "1")]
    assert manifest["config"]["digest"] == image.config.descriptor.digest


def archive(layout: Layout, images: list[Image]) -> dict[str, bytes]:
    """Write an archive of an image; return its files by path."""

    def layer(blob: Descriptor) -> Iterator[bytes]:
        own = blob.digest == LAYER.blob.digest
        yield from [b"o", b"wn"] if own else layout.blob("base", blob.digest, blob.size)

    outputs = [io.BytesIO(), io.BytesIO()]
    for output in outputs:
        write_archive(output, images, ["shop:1", "host:5000/shop:2"], layer)
    assert outputs[0].getvalue() == outputs[1].getvalue()
    outputs[0].seek(0)
    with tarfile.open(fileobj=outputs[0]) as opened:
        members = [(member.name, opened.extractfile(member)) for member in opened]
        return {name: file.read() for name, file in members if file}


def test_archive_is_for_docker_and_oci_tools(layout: Layout) -> None:
    """All blobs have their digest as name; both formats name the image and its tags."""
    image = make_image(base(layout, BASE), runtime(), [LAYER], labels={})
    files = archive(layout, [image])
    blobs = {name: body for name, body in files.items() if name.startswith("blobs/")}
    assert len(blobs) == 4
    for name, body in blobs.items():
        assert name == f"blobs/sha256/{hashlib.sha256(body).hexdigest()}"
    (docker,) = json.loads(files["manifest.json"])
    assert {docker["Config"], *docker["Layers"]} < {*blobs}
    assert docker["RepoTags"] == ["shop:1", "host:5000/shop:2"]
    entries = json.loads(files["index.json"])["manifests"]
    assert [entry["annotations"]["io.containerd.image.name"] for entry in entries] == [
        "docker.io/library/shop:1",
        "host:5000/shop:2",
    ]
    assert {entry["digest"] for entry in entries} == {image.manifest.descriptor.digest}


def test_archive_of_several_platforms_has_an_index(layout: Layout) -> None:
    """Docker's older format has only one platform; shared layers are there once."""
    platforms = (("linux", "amd64"), ("linux", "arm", "v7"))
    images = [
        make_image(base(layout, BASE, platform=names), runtime(), [LAYER], labels={})
        for names in platforms
    ]
    files = archive(layout, images)
    assert "manifest.json" not in files
    index = make_index(images)
    assert files[f"blobs/{index.descriptor.digest.replace(':', '/')}"] == index.body
    assert [entry["platform"] for entry in json.loads(index.body)["manifests"]] == [
        {"os": "linux", "architecture": "amd64"},
        {"os": "linux", "architecture": "arm", "variant": "v7"},
    ]
    assert len([name for name in files if name.startswith("blobs/")]) == 7
