"""The layers that exist already, by their keys: those made here, and those of images in a registry.

An image states in annotations how its layers were made, so a fresh machine reads one small manifest
and makes only what is missing. Tools that change an image, such as `crane rebase`, keep annotations
that are outdated: a seal shows whether all are as they were written. It is not a signature. A
user who can push the image can replace it anyway, so this needs no more trust than the image.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from poetry_docker_cache.no_engine.layer import MEDIA_TYPE, LayerBlob
from poetry_docker_cache.no_engine.wheel_choice import ImageTarget
from poetry_docker_cache.system.private_files import put

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from poetry_docker_cache.registry.registry_client import Registry

KEY, LIBRARIES = "poetry-docker-cache.key", "poetry-docker-cache.libraries"
"""The annotations of a layer."""
BASE, TARGET = "org.opencontainers.image.base.digest", "poetry-docker-cache.target"
CHECKED, SEAL = "poetry-docker-cache.checked", "poetry-docker-cache.seal"
"""The annotations of a manifest."""
_MOST = 2000
"""More layers are not remembered: the oldest files are removed."""
_LARGEST_LIBRARIES = 1 << 15
_LARGEST_CONFIG = 1 << 22
_SHA256 = re.compile(r"sha256:[0-9a-f]{64}")
_UNREADABLE = (OSError, ValueError, TypeError, LookupError, AttributeError)
"""The errors of data that another version or another program has written."""


@dataclass(frozen=True, kw_only=True)
class KnownLayer:
    """A layer, and the shared libraries that its packages need and provide."""

    blob: LayerBlob
    libraries: Mapping[str, Any] | None
    """None for a layer of pure packages."""

    def annotations(self, key: str) -> dict[str, str]:
        """Return the annotations from which another machine knows the layer."""
        found = {KEY: key}
        if self.libraries is not None:
            text = json.dumps(self.libraries, separators=(",", ":"), sort_keys=True)
            if len(text) <= _LARGEST_LIBRARIES:
                found[LIBRARIES] = text
        return found


def image_annotations(
    base_digest: str, target: ImageTarget, check: str, layers: Iterable[tuple[str, KnownLayer]]
) -> dict[str, str]:
    """Return the annotations of a manifest, with which another machine needs no base image.

    `layers` are all layers that have annotations, with their keys.
    """
    text = json.dumps(asdict(target), separators=(",", ":"), sort_keys=True)
    stated = {BASE: base_digest, TARGET: text, CHECKED: check}
    described = [
        (layer.blob.digest, layer.blob.size, layer.blob.diff_id, layer.annotations(key))
        for key, layer in layers
    ]
    return {**stated, SEAL: _seal(stated, described)}


def _seal(stated: Mapping[str, str], layers: Iterable[tuple[object, ...]]) -> str:
    """Return a hash of all that an image states, and of the layers that it is about."""
    values = [stated[name] for name in (BASE, TARGET, CHECKED)]
    text = json.dumps([values, [*layers]], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


class KnownLayers:
    """A memory of layers, kept in a folder if there is one."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder / "layers" if folder else None
        self.images: list[tuple[Registry, str, str]] = []
        """The images that were read, each with its registry, repository and digest."""
        self._found: dict[str, KnownLayer] = {}
        self._places: dict[str, set[str]] = {}
        self._targets: dict[str, ImageTarget] = {}
        self._checked: set[str] = set()

    def find(self, key: str, *, with_libraries: bool) -> KnownLayer | None:
        """Return the layer with a key; None if it must be made.

        What was made here counts more than what an image states.
        """
        found = self._recall(key) or self._found.get(key)
        return None if found and with_libraries and found.libraries is None else found

    def repositories(self, digest: str) -> list[str]:
        """Return the repositories, as HOST/NAME, that a layer was seen in."""
        return sorted(self._places.get(digest, ()))

    def target(self, base_digest: str) -> ImageTarget | None:
        """Return what an image states about its base image; None if it is not known."""
        return self._targets.get(base_digest)

    def was_checked(self, check: str) -> bool:
        """Whether an image states that this check for shared libraries found nothing missing."""
        return check in self._checked

    def keep(self, key: str, layer: KnownLayer) -> None:
        """Remember a layer that was made here."""
        self._found[key] = layer
        if self._folder is None:
            return
        with contextlib.suppress(OSError):  # the next build makes the layer again
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            put(self._folder / f"{key}.json", json.dumps(asdict(layer)))
            files = sorted(self._folder.glob("*.json"), key=lambda file: file.stat().st_mtime)
            for old in files[:-_MOST]:
                old.unlink(missing_ok=True)

    def read_image(self, registry: Registry, repository: str, target: str, platform: str) -> None:
        """Add the layers of an image, if it exists; anything unreadable is left out."""
        manifest = registry.manifest(repository, target)
        if manifest and manifest.is_index:
            with contextlib.suppress(*_UNREADABLE):
                manifest = registry.manifest(repository, _of_platform(manifest.data, platform))
        if manifest is None or manifest.is_index:
            return
        self.images.append((registry, repository, manifest.digest))
        with contextlib.suppress(*_UNREADABLE):
            stated = manifest.data["annotations"]
            described = manifest.data["config"]
            if SEAL not in stated or described["size"] > _LARGEST_CONFIG:
                return
            body = b"".join(registry.blob(repository, described["digest"], described["size"]))
            diff_ids = json.loads(body)["rootfs"]["diff_ids"]
            found = [
                (layer["digest"], layer["size"], diff_id, layer["annotations"])
                for layer, diff_id in zip(manifest.data["layers"], diff_ids, strict=True)
                if KEY in (layer.get("annotations") or {})
            ]
            if stated[SEAL] != _seal(stated, found):
                return
            known_target = ImageTarget(**json.loads(stated[TARGET]))
            major, minor = known_target.libc_version
            self._targets[stated[BASE]] = replace(known_target, libc_version=(major, minor))
            self._checked.add(stated[CHECKED])
            for digest, size, diff_id, annotations in found:
                libraries = annotations.get(LIBRARIES)
                known = KnownLayer(
                    blob=_blob(digest, diff_id, size, MEDIA_TYPE),
                    libraries=json.loads(libraries) if libraries else None,
                )
                self._found.setdefault(annotations[KEY], known)
                self._places.setdefault(digest, set()).add(f"{registry.host}/{repository}")

    def _recall(self, key: str) -> KnownLayer | None:
        if self._folder is None:
            return None
        with contextlib.suppress(*_UNREADABLE):
            data = json.loads((self._folder / f"{key}.json").read_bytes())
            known = KnownLayer(blob=_blob(**data["blob"]), libraries=data["libraries"])
            self._found[key] = known
            return known
        return None


def _of_platform(index: Mapping[str, Any], platform: str) -> str:
    """Return the digest of the manifest for a platform. Raises ValueError without one."""

    def digests() -> Iterator[str]:
        for entry in index["manifests"]:
            found = entry.get("platform") or {}
            parts = (found.get("os", ""), found.get("architecture", ""), found.get("variant", ""))
            if "/".join(filter(None, parts)) == platform:
                yield str(entry["digest"])

    digest = next(digests(), None)
    if digest is None:
        raise ValueError(platform)
    return digest


def _blob(digest: str, diff_id: str, size: int, media_type: str) -> LayerBlob:
    """Check what identifies a layer. Raises ValueError."""
    is_valid = _SHA256.fullmatch(digest) and _SHA256.fullmatch(diff_id)
    if not is_valid or media_type != MEDIA_TYPE or not isinstance(size, int) or size <= 0:
        raise ValueError(digest)
    return LayerBlob(digest=digest, diff_id=diff_id, size=size, media_type=media_type)
