"""The locked packages of a planned image, each with the files that may be installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from poetry_docker_cache.inside.manifest.families import families
from poetry_docker_cache.inside.manifest.layer_choice import DIRECT, kind
from poetry_docker_cache.inside.manifest.target import Target
from poetry_docker_cache.inside.manifest.wheel_files import allowed, usable_files
from poetry_docker_cache.sizes.package_sizes import LockedPackage

if TYPE_CHECKING:
    from poetry_docker_cache.commands.planned_image import PlannedImage


def packages_of(image: PlannedImage) -> list[LockedPackage]:
    """The packages of the image as the lock has them, each with the files that may be installed."""
    how = image.plan.dependencies
    python = image.plan.runtime.python
    target = Target.linux(python=python, libc=how.libc, machines=how.machines)
    family_of = _families(image, target)
    packages = []
    for package in image.packages:
        wheels, sdists = allowed(package["name"], how.no_binary, how.only_binary)
        found = kind(package, target, no_binary=how.no_binary, only_binary=how.only_binary)
        # An index may have files of these names, too, but they are others.
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
    """Which of several images have a package, too, by its identity."""
    images = image.plan.dependencies.images
    lock = {"package": image.packages}
    found = families(lock, images, target.environment) if images else {}
    return {id(package): family for family, inside in found.items() for package in inside}
