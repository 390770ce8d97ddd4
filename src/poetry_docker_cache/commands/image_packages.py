"""The locked packages of a planned image, each with the files that may be installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from poetry_docker_cache.inside.manifest.families import families
from poetry_docker_cache.inside.manifest.layer_choice import DIRECT, allowed, kind
from poetry_docker_cache.inside.manifest.target import Target
from poetry_docker_cache.inside.manifest.wheel_files import usable_files
from poetry_docker_cache.sizes.package_sizes import LockedPackage

if TYPE_CHECKING:
    from poetry_docker_cache.commands.planned_image import PlannedImage


def packages_of(image: PlannedImage) -> list[LockedPackage]:
    """Return the locked packages of the image, each with the files that may be installed."""
    dependencies = image.plan.dependencies
    python = image.plan.runtime.python
    target = Target.linux(python=python, libc=dependencies.libc, machines=dependencies.machines)
    family_of = _families(image, target)
    packages = []
    for package in image.packages:
        wheels, sdists = allowed(package["name"], dependencies.no_binary, dependencies.only_binary)
        found = kind(
            package, target, no_binary=dependencies.no_binary, only_binary=dependencies.only_binary
        )
        # An index may have other files of the same names.
        locked = () if found == DIRECT else package.get("files", ())
        files = usable_files(locked, target, wheels=wheels, sdists=sdists)
        packages.append(
            LockedPackage(
                name=str(canonicalize_name(package["name"])),
                version=package["version"],
                kind=found,
                files=tuple(file["file"] for file in files),
                source=None if found == DIRECT else package.get("source", {}).get("reference"),
                family=family_of.get(id(package), ""),
            )
        )
    return packages


def _families(image: PlannedImage, target: Target) -> dict[int, str]:
    """Return the names of the images that share a package, by its identity."""
    images = image.plan.dependencies.images
    lock = {"package": image.packages}
    found = families(lock, images, target.environment) if images else {}
    return {id(package): family for family, inside in found.items() for package in inside}
