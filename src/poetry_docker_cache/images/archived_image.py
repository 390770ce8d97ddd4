"""An image in a tar archive: an OCI layout, or what older engines save."""

from __future__ import annotations

import contextlib
import hashlib
import json
import tarfile
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.images.image_errors import damaged, other_platform
from poetry_docker_cache.images.manifests import choose
from poetry_docker_cache.images.stored_image import StoredImage
from poetry_docker_cache.registry.base_image import platform_name, same_platform

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from poetry_docker_cache.registry.base_image import Descriptor

_INDEX, _DOCKER = "index.json", "manifest.json"
_LARGEST_DOCUMENT = 1 << 24


@contextlib.contextmanager
def open_archive(file: BinaryIO, name: str, platform: str | None) -> Iterator[StoredImage]:
    """Read an image from an open archive. Raises DockerCacheError for another file."""
    try:
        archive = tarfile.open(fileobj=file, mode="r:")  # noqa: SIM115  # closed below
    except tarfile.TarError as error:
        raise _not_an_image(name) from error
    with archive:
        yield _Archive(archive, name).image(platform)


class _Archive:
    """The files of an archive. Layers are read in place."""

    def __init__(self, archive: tarfile.TarFile, name: str) -> None:
        self._archive, self._name = archive, name
        try:
            self._names = {member.name.removeprefix("./"): member for member in archive}
        except (OSError, tarfile.TarError) as error:
            raise damaged(name, f"the archive cannot be read: {error}") from error

    def image(self, platform: str | None) -> StoredImage:
        """Return the image for a platform, as `choose` does."""
        if _INDEX in self._names:
            return self._layout_image(platform)
        if _DOCKER in self._names:
            return self._docker_image(platform)
        raise _not_an_image(self._name)

    def _layout_image(self, platform: str | None) -> StoredImage:
        chosen = choose(
            self._name,
            ("", self._json(_INDEX)),
            platform,
            read_manifest=self._manifest,
            read_blob=lambda blob: self._checked(blob.digest),
        )
        return StoredImage(
            name=self._name,
            place="archive",
            platform=chosen.platform,
            digest=chosen.digest,
            config=chosen.config,
            annotations=chosen.annotations,
            open_layers=lambda: self._opened([_place(layer) for layer in chosen.layers]),
        )

    def _docker_image(self, platform: str | None) -> StoredImage:
        try:
            (entry,) = self._json(_DOCKER)
            body = self._content(entry["Config"])
            config, layers = json.loads(body), [str(path) for path in entry["Layers"]]
            own, count = platform_name(config), len(config["rootfs"]["diff_ids"])
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise damaged(self._name, "it does not describe a single image") from error
        if count != len(layers):
            raise damaged(self._name, "its manifest and its configuration differ")
        if platform and not same_platform(own, platform):
            raise other_platform(self._name, platform, [own])
        return StoredImage(
            name=self._name,
            place="archive",
            platform=own,
            digest=f"sha256:{hashlib.sha256(body).hexdigest()}",
            config=config,
            open_layers=lambda: self._opened(layers),
        )

    def _manifest(self, digest: str) -> Mapping[str, Any] | None:
        if f"blobs/{digest.replace(':', '/')}" not in self._names:
            return None
        data = json.loads(self._checked(digest))
        if not isinstance(data, dict):
            raise damaged(self._name, "a manifest is not an object")
        return data

    def _checked(self, digest: str) -> bytes:
        algorithm, _, value = digest.partition(":")
        body = self._content(f"blobs/{algorithm}/{value}")
        if algorithm != "sha256" or hashlib.sha256(body).hexdigest() != value:
            raise damaged(self._name, f"the digest of {digest} differs")
        return body

    def _json(self, path: str) -> Any:  # noqa: ANN401  # any document
        try:
            return json.loads(self._content(path))
        except ValueError as error:
            raise damaged(self._name, f"{path} is not valid JSON") from error

    def _content(self, path: str) -> bytes:
        with self._open(path) as file:
            try:
                return file.read(_LARGEST_DOCUMENT)
            except tarfile.TarError as error:
                raise damaged(self._name, "the archive is truncated") from error

    def _opened(
        self, paths: Sequence[str]
    ) -> Iterator[contextlib.AbstractContextManager[BinaryIO]]:
        for path in paths:
            yield self._open(path)

    def _open(self, path: str) -> BinaryIO:
        """Open a file, or what it is a link to: older engines link equal layers."""
        member = self._names.get(path)
        try:
            file = member and self._archive.extractfile(member)
        except KeyError:  # a link to nothing
            file = None
        if not file:
            raise damaged(self._name, f"the archive lacks {path}")
        return cast("BinaryIO", file)


def _place(blob: Descriptor) -> str:
    return f"blobs/{blob.digest.replace(':', '/')}"


def _not_an_image(name: str) -> DockerCacheError:
    return DockerCacheError(
        f"{name} is not an archive of an image.",
        fix="Write one with `docker image save -o FILE.tar IMAGE` or `poetry docker build --output"
        " FILE.tar`.",
    )
