"""Find an image by its name: a file, in the engine, or in its registry."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from poetry_docker_cache.docker.image_names import implied_official, is_reference
from poetry_docker_cache.docker.platforms import refuse_unknown
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.images.archived_image import open_archive
from poetry_docker_cache.images.engine_image import NotInEngine, open_engine_image
from poetry_docker_cache.images.image_errors import missing, other_platform
from poetry_docker_cache.images.registry_image import read_registry_image
from poetry_docker_cache.registry.registries import Registries
from poetry_docker_cache.registry.registry_client import Reference

if TYPE_CHECKING:
    from collections.abc import Iterator

    from poetry_docker_cache.images.stored_image import StoredImage
    from poetry_docker_cache.registry.registry_client import Progress

_ARCHIVE = ".tar"


@contextlib.contextmanager
def open_image(
    name: str,
    *,
    platform: str | None = None,
    local: bool | None = None,
    progress: Progress | None = None,
) -> Iterator[StoredImage]:
    """Open an image: an archive if the name ends with `.tar`, else the engine's or a registry's.

    The engine comes first. `local` asks only the engine, or, if false, only the registry. Reading
    its configuration and labels fetches no layer. Without a platform, it is that of the engine or
    of this machine. Raises DockerCacheError for an image that cannot be opened.
    """
    refuse_unknown([platform or ""])
    with contextlib.ExitStack() as stack:
        yield _opened(stack, name, platform, local=local, progress=progress)


def _opened(
    stack: contextlib.ExitStack,
    name: str,
    platform: str | None,
    *,
    local: bool | None,
    progress: Progress | None,
) -> StoredImage:
    if name.endswith(_ARCHIVE):
        return stack.enter_context(open_archive(_file(stack, name), name, platform))
    if not is_reference(name.removeprefix("sha256:")):
        raise DockerCacheError(
            f"{name!r} is not the name of an image.",
            fix="Use the form HOST/NAME:TAG, with NAME in lower case, or the path of a .tar file.",
        )
    absent = None
    if local is not False:
        try:
            return stack.enter_context(open_engine_image(name, platform))
        except NotInEngine as error:
            absent = error
    # Docker Hub would be asked for a name that only this project uses.
    if local or name.startswith("sha256:") or (absent and implied_official(name)):
        raise _only_local(name, platform, absent)
    registry = stack.enter_context(Registries(progress)).of(Reference.parse(name).host)
    try:
        return read_registry_image(registry, name, platform)
    except DockerCacheError as error:
        if absent is None:
            raise
        raise type(error)(f"{error.problem} Also, {absent.problem}.", fix=error.fix) from error


def _only_local(name: str, platform: str | None, absent: NotInEngine | None) -> DockerCacheError:
    if absent is None:
        return missing(name, "in a registry")
    if absent.platform:
        return other_platform(name, platform or "this machine", [absent.platform])
    return missing(
        name,
        f"here: {absent.problem}",
        "Build it with `poetry docker build`, or put the host of its registry before the name.",
    )


def _file(stack: contextlib.ExitStack, name: str) -> BinaryIO:
    try:
        return stack.enter_context(Path(name).open("rb"))
    except OSError as error:
        raise DockerCacheError(
            f"The archive {name} cannot be read: {error.strerror}.", fix="Check the path."
        ) from error
