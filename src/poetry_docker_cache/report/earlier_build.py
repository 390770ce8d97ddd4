"""The memory of the last successful build of each image on this machine, to say what changed.

It holds names and versions of packages, and the digest of the base image: no secret. Each image has
a small file in the plugin's own cache folder, so builds at the same time do not disturb each other.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from poetry_docker_cache.system.cache_folder import cache_folder
from poetry_docker_cache.system.private_files import put

if TYPE_CHECKING:
    from pathlib import Path

_MOST = 200
"""More images are not remembered: the oldest files are removed."""
_LARGEST = 1_000_000
_UNREADABLE = (OSError, ValueError, TypeError, LookupError, AttributeError, RuntimeError)
"""A file of another version, or a user without a home."""


@dataclass(frozen=True, kw_only=True)
class EarlierBuild:
    """What a successful build put into an image."""

    layers: dict[str, dict[str, str]] = field(default_factory=dict)
    """The version of each package, by layer."""
    base: str | None = None
    """The digest of the base image; None if unknown."""
    since: float = 0.0
    """The time of the first build with this base and these system packages."""

    @property
    def versions(self) -> dict[str, str]:
        """The version of each package, in any layer."""
        return {
            name: version for inside in self.layers.values() for name, version in inside.items()
        }


def recall(project: Path, image: str) -> EarlierBuild | None:
    """Return the last successful build of a project's image; None if unknown."""
    with contextlib.suppress(*_UNREADABLE):
        path = _path(project, image)
        if path.stat().st_size > _LARGEST:
            return None
        found = json.loads(path.read_text(encoding="utf-8"))
        layers = {
            str(layer): {str(name): str(version) for name, version in inside.items()}
            for layer, inside in found["layers"].items()
        }
        base = found.get("base")
        return EarlierBuild(
            layers=layers,
            base=base if isinstance(base, str) else None,
            since=float(found.get("since", 0)),
        )
    return None


def remember(project: Path, image: str, build: EarlierBuild) -> None:
    """Remember a successful build. If that is not possible, the next one has less to say."""
    with contextlib.suppress(*_UNREADABLE):
        path = _path(project, image)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        put(path, json.dumps(asdict(build)))
        files = sorted(path.parent.glob("*.json"), key=lambda file: file.stat().st_mtime)
        for old in files[:-_MOST]:
            old.unlink(missing_ok=True)


def _path(project: Path, image: str) -> Path:
    """Return the file of an image: its name does not show the project's."""
    key = hashlib.sha256(f"{project}\n{image}".encode(errors="surrogateescape")).hexdigest()[:32]
    return cache_folder() / "builds" / f"{key}.json"
