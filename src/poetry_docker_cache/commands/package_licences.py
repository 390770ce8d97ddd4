"""The licences of an image's packages.

They are remembered on this machine, else read from the SBOMs of earlier images, else from the
sources of the packages.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.sbom.licences import (
    NO_LICENCES,
    Licences,
    declared_licences,
    wheel_with_licence,
)
from poetry_docker_cache.system.cache_folder import cache_folder
from poetry_docker_cache.system.compat import tomllib
from poetry_docker_cache.system.private_files import put

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from poetry_docker_cache.commands.earlier_licences import EarlierImage
    from poetry_docker_cache.commands.planned_image import PlannedImage
    from poetry_docker_cache.no_engine.package_servers import PackageServers

_MOST = 4000
"""More wheels are not remembered: the oldest files are removed."""


class KnownLicences:
    """A memory of licences by the hash of a wheel, in a folder if there is one."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder / "licences" if folder else None

    def find(self, digest: str) -> tuple[str, ...] | None:
        """Return the licences; None if they are not known. A damaged file is ignored."""
        if self._folder is None:
            return None
        path = _file(self._folder, digest)
        with contextlib.suppress(OSError, ValueError, RecursionError):
            texts: Any = json.loads(path.read_bytes())
            if isinstance(texts, list) and all(isinstance(text, str) for text in texts):
                return tuple(texts)
        return None

    def keep(self, found: Mapping[str, tuple[str, ...]]) -> None:
        """Remember licences. If that fails, they are requested again."""
        if self._folder is None or not found:
            return
        with contextlib.suppress(OSError):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for digest, texts in found.items():
                put(_file(self._folder, digest), json.dumps(texts))
            files = sorted(self._folder.glob("*.json"), key=lambda file: file.stat().st_mtime)
            for old in files[:-_MOST]:
                old.unlink(missing_ok=True)


def _file(folder: Path, digest: str) -> Path:
    return folder / f"{digest.replace(':', '-')}.json"


@dataclass(frozen=True, kw_only=True)
class PackageLicences:
    """The licences of the packages of an image, as far as they are known."""

    folder: Path
    """The folder of the project."""
    by_wheel: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By the hash of the wheel that was read; empty if it states none."""
    note: str = ""
    """Why some are missing; empty if all sources have answered."""

    def of(self, package: Mapping[str, Any]) -> Licences:
        """Return the licences of a locked package, or of a path dependency."""
        if package.get("source", {}).get("type") == "directory":
            path = self.folder / package["source"]["url"] / "pyproject.toml"
            with contextlib.suppress(OSError, ValueError, AttributeError):  # not readable
                return Licences(declared_licences(tomllib.loads(path.read_text(encoding="utf-8"))))
        wheel = wheel_with_licence(package)
        if wheel is None or wheel["hash"] not in self.by_wheel:
            return NO_LICENCES
        return Licences(self.by_wheel[wheel["hash"]], wheel=wheel["hash"])


def find_licences(
    images: Sequence[PlannedImage],
    servers: PackageServers | None = None,
    *,
    earlier: Iterable[EarlierImage] = (),
    before: Callable[[], None] = lambda: None,
) -> PackageLicences:
    """Find the licences of the packages of a project's images. Failures are in the note.

    The SBOMs of `earlier` images are read before anything is requested from a source. `before` is
    called in between, and may raise DockerCacheError: credentials must have been checked then.
    `servers` are those that a build uses, if it makes requests itself.
    """
    known = KnownLicences(_memory())
    wheels = {
        wheel["hash"]: (package, wheel)
        for image in images
        for package in image.packages
        if (wheel := wheel_with_licence(package))
    }
    found = {digest: texts for digest in wheels if (texts := known.find(digest)) is not None}
    missing = [digest for digest in wheels if digest not in found]
    if missing and earlier:
        # Imported only here: usually, all licences are known.
        from poetry_docker_cache.commands.earlier_licences import (  # noqa: PLC0415
            read_earlier_licences,
        )

        # Not remembered: other projects of this machine trust other registries.
        found.update(read_earlier_licences(earlier, missing))
        missing = [digest for digest in missing if digest not in found]
    failure: DockerCacheError | None = None
    if missing:
        try:
            before()
            # Imported only here, as above.
            from poetry_docker_cache.commands.licence_requests import (  # noqa: PLC0415
                request_licences,
            )

            requested = [wheels[digest] for digest in missing]
            answers, failure = request_licences(images[0].poetry, requested, servers)
            known.keep(answers)
            found.update(answers)
        except DockerCacheError as error:
            failure = error
        except Exception as error:  # noqa: BLE001  # must not fail a build
            failure = DockerCacheError(
                f"This is a bug in poetry-docker-cache: {type(error).__name__}."
            )
    note = _note(len(wheels.keys() - found.keys()), failure) if failure else ""
    return PackageLicences(folder=images[0].folder, by_wheel=found, note=note)


def _memory() -> Path | None:
    try:
        return cache_folder()
    except RuntimeError:  # a user without a home
        return None


def _note(count: int, failure: DockerCacheError) -> str:
    packages = "1 package" if count == 1 else f"{count} packages"
    text = f"The SBOM lacks the licences of {packages}. {failure.problem} {failure.fix}"
    return text.rstrip()
