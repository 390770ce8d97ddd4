"""Download locked files with Poetry's credentials, certificates, sources and artifact cache.

A file is only requested from its locked source, and no byte of it is used before its hash matches
poetry.lock. Poetry's cache finds a file by its URL, which poetry.lock does not contain. So a table
remembers where the file of a hash is: nothing is requested for a file that is still there.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from poetry.utils.cache import ArtifactCache
from requests import HTTPError, RequestException

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.inside.install.wheelhouse import STRONG, has_hash
from poetry_docker_cache.no_engine.package_servers import PackageServers
from poetry_docker_cache.system.cache_folder import cache_folder
from poetry_docker_cache.system.full_disks import suggest_space
from poetry_docker_cache.system.private_files import put

if TYPE_CHECKING:
    from collections.abc import Iterable
    from concurrent.futures import Future

    from poetry.poetry import Poetry
    from typing_extensions import Self

    from poetry_docker_cache.no_engine.package_servers import PackageServer
    from poetry_docker_cache.no_engine.wheel_choice import LockedFile

_BLOCK = 1 << 18
_TRIES = 3
_MOST_AT_ONCE = 10
_INCOMPLETE = "IncompleteRead"  # as urllib3 says it


class Progress(Protocol):
    """Takes the number of bytes of a file that have arrived; several threads call it."""

    def __call__(self, file: str, done: int, total: int | None) -> None:
        """Show the progress; the total is None if the server does not send it."""


class WheelDownloads:
    """Downloads that run in the background until the end of a `with` block.

    The credentials must have been checked, as for `PackageServers`.
    """

    def __init__(self, poetry: Poetry, *, progress: Progress | None = None) -> None:
        config = poetry.config
        self.servers = PackageServers(poetry)
        self._poetry = poetry
        self._progress = progress or (lambda *_, **__: None)
        self._artifacts = ArtifactCache(cache_dir=config.artifacts_cache_directory)
        self._places = cache_folder() / "artifacts"
        self._stopped = threading.Event()
        self._futures: dict[tuple[str, str], Future[Path]] = {}
        workers = min(config.installer_max_workers, _MOST_AT_ONCE)
        self._pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="download")

    def __enter__(self) -> Self:
        """Return this object."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Wait for the downloads; after an exception, end them."""
        if kind is not None:
            self.stop()
        self._pool.shutdown(wait=True, cancel_futures=kind is not None)

    def stop(self) -> None:
        """End the running downloads at their next bytes, and start no other."""
        self._stopped.set()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def start(self, files: Iterable[LockedFile]) -> None:
        """Begin to download these files. Raises DockerCacheError for unreadable credentials."""
        for file in files:
            key = (file.hash, file.file)
            if key not in self._futures:
                self._futures[key] = self._pool.submit(self._get, file, self.servers.of(file))

    def path(self, file: LockedFile) -> Path:
        """Wait for a file and return its path; its hash is that of poetry.lock.

        Raises DockerCacheError for a file that is not available, or has another hash.
        """
        self.start([file])
        return self._futures[file.hash, file.file].result()

    def _get(self, file: LockedFile, server: PackageServer | None) -> Path:
        if file.hash.partition(":")[0] not in STRONG:
            raise DockerCacheError(
                f"poetry.lock has no SHA-2 hash of {file.file}.",
                fix="Run `poetry lock --regenerate`.",
            )
        if server is None:
            path = self._poetry.file.path.parent / str(file.source["url"])
            return _checked(path, file, f"The file {file.source['url']}")
        place = self._places / file.hash.replace(":", "-")
        with contextlib.suppress(OSError, TypeError, ValueError):  # not recorded, or damaged
            known = Path(json.loads(place.read_bytes()))
            if known.name == file.file and has_hash(known, file.hash):
                return known
        link = server.find_link(file)
        path = self._artifacts.get_cache_directory_for_link(link) / file.file
        if not has_hash(path, file.hash):  # a damaged file is replaced
            self._download(file, server, link.url, path)
        with contextlib.suppress(OSError):  # else the next build finds the link again
            place.parent.mkdir(parents=True, exist_ok=True)
            put(place, json.dumps(str(path)))
        return path

    def _download(self, file: LockedFile, server: PackageServer, url: str, path: Path) -> None:
        draft = path.with_name(f".{secrets.token_hex(8)}.part")
        failure: DockerCacheError | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            for _ in range(_TRIES):
                try:
                    self._receive(file, server, url, draft)
                    failure = None
                except RequestException as error:
                    failure = server.explain(error, file.file)
                    if not isinstance(error, HTTPError):
                        continue  # the connection broke
                break
            if failure is None:
                _checked(draft, file, f"{server.title} serves {file.file}, which")
                draft.replace(path)
        except OSError as error:
            raise DockerCacheError(
                f"{path.parent} cannot be written: {error.strerror}.",
                fix=suggest_space(error, "Check the permissions of Poetry's cache."),
            ) from error
        finally:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)
        if failure:  # raised outside the handler: the exception may contain a secret
            raise failure

    def _receive(self, file: LockedFile, server: PackageServer, url: str, draft: Path) -> None:
        with server.get(url, file) as response, draft.open("wb") as output:
            length = response.headers.get("Content-Length", "")
            total = int(length) if length.isdecimal() else None
            done = 0
            for block in response.iter_content(_BLOCK):
                if self._stopped.is_set():
                    raise DockerCacheError(f"The download of {file.file} was stopped.")
                output.write(block)
                done += len(block)
                self._progress(file.file, done, total)
        if total is not None and done < total:
            raise RequestException(_INCOMPLETE)


def _checked(path: Path, file: LockedFile, what: str) -> Path:
    """Return a path. Raises DockerCacheError if the file's hash is not the locked one."""
    if has_hash(path, file.hash):
        return path
    if not path.is_file():
        raise DockerCacheError(f"{what} does not exist.", fix="Restore it, or run `poetry lock`.")
    raise DockerCacheError(
        f"{what} has a hash that does not match poetry.lock.",
        fix="If you are sure that it was replaced on purpose, run `poetry lock --no-cache`.",
    )
