"""The image's size and base, from buildx's metadata."""

from __future__ import annotations

from typing import Any

import pytest

from poetry_docker_cache.report.provenance import image_digest, image_size, without_details

KEY = "buildx.build.provenance"


def provenance(
    *sizes: int, base: str = "pkg:docker/python@3.13-slim?platform=linux%2Famd64"
) -> Any:  # noqa: ANN401  # JSON
    """Make a provenance: the last step has all layers."""
    layers = [{"digest": f"sha256:{number}", "size": size} for number, size in enumerate(sizes)]
    steps = [{"id": "step0"}, {"id": "step1"}, {"id": "step2", "inputs": ["step1:0"]}]
    details = {"layers": {"step0:0": [layers[:1]], "step1:0": [layers]}}
    return {
        "builder": {"id": ""},
        "materials": [{"uri": base, "digest": {"sha256": "abc"}}],
        "buildConfig": {"llbDefinition": steps},
        "metadata": {"https://mobyproject.org/buildkit@v1#metadata": details},
    }


def test_size_is_that_of_the_layers() -> None:
    """The size is that of the last step's layers; layers that platforms share count once."""
    assert image_size({KEY: provenance(100, 20)}) == 120
    both = {f"{KEY}/linux/amd64": provenance(100, 20), f"{KEY}/linux/arm64": provenance(100, 20, 3)}
    assert image_size(both) == 123
    assert image_size({f"{KEY}/linux/amd64": provenance(100), f"{KEY}/linux/arm64": {}}) is None


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {KEY: None},
        {KEY: {}},
        {KEY: {"buildConfig": {"llbDefinition": [1]}}},
        {KEY: provenance()},
    ],
)
def test_unknown_size(metadata: dict[str, Any]) -> None:
    """Other versions of buildx may write something else."""
    assert image_size(metadata) is None


@pytest.mark.parametrize(
    ("uri", "image"),
    [
        ("pkg:docker/python@3.13-slim?platform=linux%2Famd64", "python:3.13-slim"),
        ("pkg:docker/python@3.13-slim", "docker.io/library/python:3.13-slim"),
        ("pkg:docker/registry.test:5000/base@1", "registry.test:5000/base:1"),
    ],
)
def test_digest_of_base(uri: str, image: str) -> None:
    """The digest is found by the image's name."""
    metadata = {KEY: provenance(1, base=uri)}
    assert image_digest(metadata, image) == "sha256:abc"
    assert image_digest(metadata, "other:1") is None


def test_user_gets_minimal_provenance() -> None:
    """The metadata file is as buildx writes it by default."""
    metadata = {KEY: provenance(1), "image.name": "shop"}
    assert without_details(metadata) == {
        KEY: {name: metadata[KEY][name] for name in ("builder", "materials")},
        "image.name": "shop",
    }
