"""Labels that say what an image holds: the part that `verify` and `diff` read again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

CONTENTS = "poetry-docker-cache.contents"
BASE_NAME = "org.opencontainers.image.base.name"
BASE_DIGEST = "org.opencontainers.image.base.digest"
REVISION = "org.opencontainers.image.revision"
SOURCE = "org.opencontainers.image.source"
_FORM = 1
"""Increase this if an older release could misread the label."""


@dataclass(frozen=True, kw_only=True)
class LayerContents:
    """A dependency layer: its packages, and the digest of its manifest, which decides a rebuild."""

    name: str
    digest: str
    packages: Mapping[str, str]
    """Canonical name -> version; a git commit follows the version after `@`."""


@dataclass(frozen=True, kw_only=True)
class ImageContents:
    """What an image was built from."""

    plugin: str
    """The plugin's release."""
    python: str
    """The minor version."""
    base: str
    """The base image's name, as in the Dockerfile."""
    settings: str
    """The digest of all else that the Dockerfile depends on."""
    layers: Mapping[str, tuple[LayerContents, ...]]
    """By platform, such as linux/amd64, in the order of the image."""


def encode(contents: ImageContents) -> str:
    """Return the value of the label."""
    # Most platforms have the same packages, and a label is an argument of limited length.
    same: dict[str, list[str]] = {}
    for platform, found in contents.layers.items():
        same.setdefault(json.dumps([*map(_fields, found)]), []).append(platform)
    layers = {" ".join(platforms): json.loads(text) for text, platforms in same.items()}
    value = {
        "form": _FORM,
        "plugin": contents.plugin,
        "python": contents.python,
        "base": contents.base,
        "settings": contents.settings,
        "layers": layers,
    }
    return json.dumps(value, separators=(",", ":"), sort_keys=True)


def decode(labels: Mapping[str, str]) -> ImageContents | None:
    """Return what the labels of an image say; None if another tool or form wrote them."""
    try:
        value = json.loads(labels[CONTENTS])
        if value["form"] != _FORM:
            return None
        return ImageContents(
            plugin=str(value["plugin"]),
            python=str(value["python"]),
            base=str(value["base"]),
            settings=str(value["settings"]),
            layers={
                platform: tuple(_layer(*described) for described in found)
                for platforms, found in value["layers"].items()
                for platform in platforms.split()
            },
        )
    except (ValueError, TypeError, LookupError, AttributeError):
        return None


def _fields(layer: LayerContents) -> list[str]:
    packages = (f"{name}=={version}" for name, version in layer.packages.items())
    return [layer.name, layer.digest, " ".join(packages)]


def _layer(name: str, digest: str, packages: str) -> LayerContents:
    pairs = (entry.partition("==") for entry in packages.split())
    return LayerContents(
        name=name, digest=digest, packages={key: version for key, _, version in pairs}
    )
