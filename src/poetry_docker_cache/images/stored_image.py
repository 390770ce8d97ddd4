"""An image for one platform: its configuration, and its layers as streams."""

from __future__ import annotations

import contextlib
import hashlib
import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, cast

from poetry_docker_cache.images.image_errors import damaged
from poetry_docker_cache.registry.layer_stream import BUFFER, UNREADABLE, inflated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    OpenLayers = Callable[[], Iterator[AbstractContextManager[BinaryIO]]]
    FindAttached = Callable[[str], Sequence[bytes]]

Place = Literal["engine", "registry", "archive"]


@dataclass(frozen=True, kw_only=True)
class StoredImage:
    """An image that can be read. Its layers are fetched when they are read."""

    name: str
    """As the user wrote it."""
    place: Place
    platform: str
    digest: str
    """Of its manifest; the ID of the image without one."""
    config: Mapping[str, Any]
    """The OCI image configuration; from the engine, without the history."""
    annotations: Mapping[str, str] = field(default_factory=dict)
    stored_sizes: tuple[int, ...] = ()
    """The compressed bytes of its layers, bottom first; empty if unknown."""
    open_layers: OpenLayers = field(repr=False)
    """Opens the layers as they are stored, one after the other."""
    find_attached: FindAttached = field(repr=False, default=lambda _: ())
    """Returns the documents of a media type that a registry has for this image."""

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels."""
        return self.settings.get("Labels") or {}

    @property
    def settings(self) -> Mapping[str, Any]:
        """What a container starts with: `User`, `Env`, `Entrypoint` and so on."""
        return self.config.get("config") or {}

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables."""
        pairs = self.settings.get("Env") or ()
        return {name: value for name, _, value in (text.partition("=") for text in pairs)}

    @property
    def diff_ids(self) -> tuple[str, ...]:
        """The digests of the uncompressed layers."""
        return tuple((self.config.get("rootfs") or {}).get("diff_ids") or ())

    def layers(self) -> Iterator[BinaryIO]:
        """Yield each layer as an uncompressed archive, bottom first.

        A layer is read to its end when the next one is asked for. Raises DockerCacheError for one
        that is damaged: while it is read, or at its end if its digest differs.
        """
        opened = self.open_layers()
        for number, diff_id in enumerate(self.diff_ids, start=1):
            what = f"layer {number} of {len(self.diff_ids)}"
            layer = next(opened, None)
            if layer is None:
                raise damaged(self.name, f"{what} is missing")
            with _readable(self.name, what), layer as stored:
                buffered = io.BufferedReader(cast("io.RawIOBase", stored), BUFFER)
                checked = _Checked(inflated(buffered, self.name), diff_id, self.name, what)
                yield cast("BinaryIO", checked)
                for file in (checked, buffered):  # digests are checked at the end
                    while file.read(BUFFER):
                        pass


@contextlib.contextmanager
def _readable(name: str, what: str) -> Iterator[None]:
    """Explain what damaged content raises."""
    try:
        yield
    except UNREADABLE as error:
        raise damaged(name, f"{what} cannot be read: {error}") from error


class _Checked(io.RawIOBase):
    """An archive whose digest is checked at its end, before a reader can miss the rest."""

    def __init__(self, file: BinaryIO, digest: str, name: str, what: str) -> None:
        self._file, self._digest, self._name, self._what = file, digest, name, what
        self._hash = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:  # noqa: ANN401  # any buffer
        with _readable(self._name, self._what):
            data = self._file.read(len(buffer))
        self._hash.update(data)
        buffer[: len(data)] = data
        if buffer and not data and self._digest != f"sha256:{self._hash.hexdigest()}":
            raise damaged(self._name, f"the digest of {self._what} differs")
        return len(data)
