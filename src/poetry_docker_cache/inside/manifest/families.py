"""Group the locked packages by the images that install them.

The plugin and the build use the same code, so they agree. A family is a set of images. Packages of
all images are in layers with plain names. Any other layer has its images in its name: `pure-1.api`,
`native-2.api.worker`.
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
    """Return the packages of each family, without those that no image installs.

    `images` has the `groups` and `extras` of each image by its name.
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
    """Return the name of a family's layer."""
    return f"{plain}.{family}" if family else plain


def plain_name(layer: str) -> str:
    """Return the name of a layer without its family; package names in it have no dots."""
    return layer.partition(".")[0]


def family_name(layer: str) -> str:
    """Return the family in the name of a layer."""
    return layer.partition(".")[2]
