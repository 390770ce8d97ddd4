"""Where `poetry docker layers` takes the sizes from: whatever is asked, and in which order."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.inside.manifest.families import families
from poetry_docker_cache.inside.manifest.layers import DIRECT, kind
from poetry_docker_cache.inside.manifest.target import Target
from poetry_docker_cache.inside.manifest.wheels import allowed, usable_files
from poetry_docker_cache.sizes import ORIGINS, LockedPackage
from poetry_docker_cache.sizes.environment import environment_sizes
from poetry_docker_cache.sizes.image import image_sizes
from poetry_docker_cache.sizes.index import index_sizes
from poetry_docker_cache.tags import default_tag

if TYPE_CHECKING:
    from collections.abc import Sequence

    from poetry_docker_cache.commands.layers import LayersCommand
    from poetry_docker_cache.commands.preparing import Prepared
    from poetry_docker_cache.sizes import Origin, Sizes


def packages_of(prepared: Prepared) -> list[LockedPackage]:
    """The packages of the image as the lock has them, each with the files that may be installed."""
    how = prepared.plan.dependencies
    python = prepared.plan.runtime.python
    target = Target.linux(python=python, libc=how.libc, machines=how.machines)
    family_of = _families(prepared, target)
    packages = []
    for package in prepared.packages:
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


def _families(prepared: Prepared, target: Target) -> dict[int, str]:
    """Which of several images have a package, too, by its identity."""
    images = prepared.plan.dependencies.images
    lock = {"package": prepared.packages}
    found = families(lock, images, target.environment) if images else {}
    return {id(package): family for family, inside in found.items() for package in inside}


def asked_origin(command: LayersCommand) -> tuple[Origin | None, str | None]:
    """Where the sizes are to come from, if that was said, and the image that was named.

    Raises DockerCacheError for what is none, or contradicts itself.
    """
    image: str | None = command.option("image")
    given: str | None = command.option("from") or ("image" if image is not None else None)
    if image is not None and given != "image":
        raise DockerCacheError(
            f"--image names an image, but --from says {given}.", fix="Leave one of them out."
        )
    origin = next((it for it in ORIGINS if it == given), None)
    if given is not None and origin is None:
        raise DockerCacheError(
            f"--from {given!r} is nowhere that sizes come from.",
            fix=f"Use one of {', '.join(ORIGINS)}.",
        )
    return origin, image


def find_sizes(
    command: LayersCommand,
    images: Sequence[Prepared],
    chosen: Origin | None,
    image: str | None,
) -> dict[Origin, Sizes]:
    """The sizes of all packages by origin: each is asked only for what those before it lack.

    Raises DockerCacheError where the one that was chosen fails, or all of them do.
    """
    listed = [package for it in images for package in packages_of(it)]
    locked = {package.key: package for package in listed}.values()
    found: dict[Origin, Sizes] = {}
    failures: dict[Origin, DockerCacheError] = {}
    for origin in (chosen,) if chosen else ORIGINS:
        known = {key for sizes in found.values() for key in sizes}
        missing = [package for package in locked if package.key not in known]
        if not missing or (origin == "image" and not chosen and not shutil.which("docker")):
            continue
        try:
            found[origin] = _ask(origin, images, missing, image)
        except DockerCacheError as error:
            failures[origin] = error
    if not any(found.values()):
        raise failures.get(chosen or "index") or _nothing_known(chosen)
    if "index" in failures:  # that there is no environment, or no image, is nothing to tell
        command.note(failures["index"].problem)
    return found


def _ask(
    origin: Origin,
    images: Sequence[Prepared],
    packages: Sequence[LockedPackage],
    image: str | None,
) -> Sizes:
    if origin == "environment":
        return environment_sizes(images[0].poetry, packages)
    if origin == "index":
        return index_sizes(images[0].poetry, packages)
    if image is not None:
        return image_sizes(image, packages)
    told = [_built(it, packages) for it in images]
    failures = [it for it in told if isinstance(it, DockerCacheError)]
    if len(failures) == len(told):
        raise failures[0]
    known = (it.items() for it in told if not isinstance(it, DockerCacheError))
    return {key: size for sizes in known for key, size in sizes}


def _built(prepared: Prepared, packages: Sequence[LockedPackage]) -> Sizes | DockerCacheError:
    """What the image tells, if it was built; or why it does not."""
    version = prepared.git_version or prepared.version
    image, among = prepared.settings.image, prepared.image
    try:
        return image_sizes(default_tag(prepared.name, version, image=image, among=among), packages)
    except DockerCacheError as error:
        return error


def _nothing_known(chosen: Origin | None) -> DockerCacheError:
    where = f"The {chosen}" if chosen else "Nobody"
    return DockerCacheError(
        f"{where} knows the size of none of the locked packages.",
        fix="Run `poetry install` or `poetry docker build`, or use `--from index`.",
    )
