"""The label that says what an image holds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from poetry_docker_cache.docker.image_labels import (
    CONTENTS,
    ImageContents,
    LayerContents,
    decode,
    encode,
)

LAYER = LayerContents(name="pure-1", digest="sha256:1", packages={"a": "1.0", "b": "2+local@c0"})
IMAGE = ImageContents(
    plugin="1.0",
    python="3.13",
    base="python:3.13-slim",
    settings="sha256:2",
    layers={"linux/amd64": (LAYER, LayerContents(name="empty", digest="x", packages={}))},
)


def test_label_keeps_everything() -> None:
    """Also a layer without packages, and versions with special characters."""
    assert decode({CONTENTS: encode(IMAGE)}) == IMAGE


def test_same_layers_of_several_platforms_are_written_once() -> None:
    """A label is an argument of `docker buildx build`, and the length of one is limited."""
    layers = {**IMAGE.layers, "linux/arm64": IMAGE.layers["linux/amd64"], "linux/386": (LAYER,)}
    several = replace(IMAGE, layers=layers)
    text = encode(several)
    assert decode({CONTENTS: text}) == several
    assert text.count("empty") == 1


@pytest.mark.parametrize(
    "value", ["", "[]", "{}", "{", encode(IMAGE).replace('"form":1', '"form":2'), "null"]
)
def test_unknown_label_is_no_contents(value: str) -> None:
    """Other tools and later forms are not misread."""
    assert decode({CONTENTS: value}) is None


def test_image_without_label_has_no_contents() -> None:
    """Most images have none of our labels."""
    assert decode({}) is None
