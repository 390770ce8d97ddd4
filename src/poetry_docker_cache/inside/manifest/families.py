"""Group the locked packages by the images that install them.

The plugin and the build use the same code, so they agree. A family is a set of images. What all of
them install lies in layers with plain names; the name of any other layer ends with those images
that have it: `pure-1.api`, `native-2.api.worker`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .locked_packages import select

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Images = Mapping[str, Mapping[str, Sequence[str]]]

ALL = ""


def families(
    lock: Mapping[str, Any], images: Images, environment: Mapping[str, str]
) -> dict[str, list[Mapping[str, Any]]]:
    """Sort the locked packages by the images that install them; what none installs is left out.

    `images` are the `groups` and `extras` of each image by its name.
    """
    having: dict[int, list[str]] = {}
    for name in sorted(images):
        chosen = images[name]
        for package, _ in select(lock, chosen["groups"], chosen["extras"], environment):
            having.setdefault(id(package), []).append(name)
    found: dict[str, list[Mapping[str, Any]]] = {}
    for package in lock.get("package", []):
        if names := having.get(id(package)):
            family = ALL if len(names) == len(images) else ".".join(names)
            found.setdefault(family, []).append(package)
    return {family: found[family] for family in sorted(found)}


def layer_name(plain: str, family: str) -> str:
    """Name a family's layer."""
    return f"{plain}.{family}" if family else plain


def plain_name(layer: str) -> str:
    """Give the name of a layer without its family; no package's name has a dot in it."""
    return layer.partition(".")[0]


def family_name(layer: str) -> str:
    """Give the family of a layer."""
    return layer.partition(".")[2]
