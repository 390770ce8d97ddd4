"""What happens to an image that was made without a container engine: pushed, written or loaded."""

from __future__ import annotations

import contextlib
import functools
import io
import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from poetry_docker_cache.buildx import engine
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.no_engine.image_archive import write_archive
from poetry_docker_cache.no_engine.image_config import make_index
from poetry_docker_cache.registry.registry_client import Reference
from poetry_docker_cache.system.full_disks import suggest_space

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from poetry_docker_cache.commands.no_engine_image import PlatformImage, Tools
    from poetry_docker_cache.no_engine.image_config import Document, Image
    from poetry_docker_cache.registry.base_image import BaseImage, Descriptor
    from poetry_docker_cache.registry.registry_client import Registry

_BLOCK = 1 << 20
_LOADERS = ("docker", "podman")
_STDERR = 2
_SIGNAL = 128
"""Higher exit statuses are those of signals."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """An image for all its platforms."""

    images: tuple[Image, ...]
    top: Document
    """The index, or the only manifest."""

    @classmethod
    def of(cls, found: Sequence[PlatformImage]) -> Result:
        """Put the images together. Their layers must have been made."""
        images = tuple(each.result() for each in found)
        top = images[0].manifest if len(images) == 1 else make_index(images)
        return cls(images=images, top=top)

    @property
    def size(self) -> int:
        """The bytes of all compressed layers."""
        sizes = {layer.digest: layer.size for image in self.images for layer in image.layers}
        return sum(sizes.values())


@dataclass(frozen=True, kw_only=True)
class Pushed:
    """A push."""

    result: Result
    seconds: float


def push(found: Sequence[PlatformImage], tags: Sequence[str], tools: Tools) -> Pushed:
    """Push an image: first all blobs, then the manifests, and last the tags.

    Raises DockerCacheError; then no tag names an incomplete image.
    """
    started = time.monotonic()
    references = [Reference.parse(tag) for tag in tags]
    places = {(each.host, each.repository): None for each in references}
    for host, repository in places:
        _upload(found, tools.registries.of(host), repository, tools)
    result = Result.of(found)
    for host, repository in places:
        registry = tools.registries.of(host)
        for image in result.images:
            _put_config(registry, repository, image.config)
            if len(result.images) > 1:
                digest = image.manifest.descriptor.digest
                _put(registry, repository, digest, image.manifest)
    for each in references:
        _put(tools.registries.of(each.host), each.repository, each.tag, result.top)
    return Pushed(result=result, seconds=time.monotonic() - started)


def _upload(
    found: Sequence[PlatformImage], registry: Registry, repository: str, tools: Tools
) -> None:
    """Give all layers to a registry, several at a time."""
    jobs = {
        layer.digest: functools.partial(
            _upload_base, each.base, layer, registry, repository, tools=tools
        )
        for each in found
        for layer in each.base.layers
    }
    for part in (part for each in found for part in each.parts):
        jobs[part.provide().blob.digest] = functools.partial(part.upload, registry, repository)
    futures = [tools.pool.submit(job) for job in jobs.values()]
    try:
        for future in futures:
            future.result()
    finally:
        for future in futures:
            future.cancel()


def _upload_base(
    base: BaseImage, layer: Descriptor, registry: Registry, repository: str, *, tools: Tools
) -> None:
    """Give a layer of the base image to a registry, which mounts it if it has it."""
    source = Reference.parse(base.name)
    mounts = [base.repository] if source.host == registry.host else []
    registry.upload(
        repository,
        layer.digest,
        layer.size,
        lambda: _downloaded(base, layer, tools).open("rb"),
        mount_from=[name for name in mounts if name != repository],
    )


def _downloaded(base: BaseImage, layer: Descriptor, tools: Tools) -> Path:
    """Download a layer of the base image, unless that has been done."""
    path = tools.folder / f"base-{layer.digest.partition(':')[2]}"
    if not path.exists():
        draft = path.with_suffix(".part")
        registry = tools.registries.of(Reference.parse(base.name).host)
        with draft.open("wb") as file:
            for chunk in registry.blob(base.repository, layer.digest, layer.size):
                file.write(chunk)
        draft.replace(path)
    return path


def _put_config(registry: Registry, repository: str, config: Document) -> None:
    described = config.descriptor
    registry.upload(repository, described.digest, described.size, lambda: io.BytesIO(config.body))


def _put(registry: Registry, repository: str, target: str, document: Document) -> None:
    registry.put_manifest(repository, target, document.body, document.media_type)


def write_output(
    found: Sequence[PlatformImage], tags: Sequence[str], tools: Tools, path: Path
) -> Result:
    """Write an image as an archive, completely or not at all. Raises DockerCacheError."""
    for part in (part for each in found for part in each.parts):
        part.make()
    result = Result.of(found)
    draft = path.with_name(f".{path.name}.part")
    try:
        with draft.open("wb") as file:
            _write(file, found, result, tags, tools)
        draft.replace(path)
    except OSError as error:
        raise DockerCacheError(
            f"{path} cannot be written: {error.strerror}.",
            fix=suggest_space(error, "Choose a path that you may write to."),
        ) from error
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
    return result


def _write(
    file: BinaryIO,
    found: Sequence[PlatformImage],
    result: Result,
    tags: Sequence[str],
    tools: Tools,
) -> None:
    own = {part.provide().blob.digest: part.make() for each in found for part in each.parts}
    bases = {layer.digest: (each.base, layer) for each in found for layer in each.base.layers}

    def content(layer: Descriptor) -> Iterator[bytes]:
        path = own.get(layer.digest) or _downloaded(*bases[layer.digest], tools)
        with path.open("rb") as source:
            while chunk := source.read(_BLOCK):
                yield chunk

    write_archive(file, result.images, tags, content)


def find_loader() -> str:
    """Return the program that loads images. Raises DockerCacheError without one."""
    program = next(filter(shutil.which, _LOADERS), None)
    if program is None:
        raise DockerCacheError(
            "--load needs docker or podman, and neither is installed.",
            fix="Write an archive instead (`--output image.tar`), or push the image (`--push`).",
        )
    return program


@dataclass(frozen=True, kw_only=True)
class Loadable:
    """An archive, and the program that loads it."""

    program: str
    path: Path
    result: Result


def archive_to_load(found: Sequence[PlatformImage], tags: Sequence[str], tools: Tools) -> Loadable:
    """Write an archive for `docker load` or `podman load`. Raises DockerCacheError."""
    path = tools.folder / "image.tar"
    result = write_output(found, tags, tools, path)
    return Loadable(program=find_loader(), path=path, result=result)


def load(archive: Loadable) -> Result:
    """Load an image, with the program's own output. Raises DockerCacheError."""
    program = archive.program
    if status := engine.run([program, "load", "--input", str(archive.path)], output=_STDERR):
        if status > _SIGNAL:
            raise SystemExit(status)
        raise DockerCacheError(
            f"`{program} load` failed with status {status}.",
            fix=f"See its message above. Check that `{program} info` works.",
        )
    return archive.result
