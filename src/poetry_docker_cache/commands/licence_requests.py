"""Request the metadata of wheels from their sources, for the licences in it."""

from __future__ import annotations

import contextlib
import queue
from typing import TYPE_CHECKING, Any

from poetry_docker_cache.commands.background import Background
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.no_engine.package_servers import PackageServers
from poetry_docker_cache.no_engine.wheel_choice import LockedFile
from poetry_docker_cache.sbom.licences import read_licences

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from poetry.poetry import Poetry

_MOST_AT_ONCE = 4
"""More would have to read the certificates for each connection, which takes 50 ms of CPU time."""
_PATIENCE = 15.0
"""How many seconds all requests may take."""
_SILENCE = 6.0
"""After how many seconds without any answer the others are not waited for.

Poetry tries again for 5 seconds if a source fails.
"""

_Wheel = tuple["Mapping[str, Any]", "Mapping[str, str]"]
"""A locked package, and the wheel that is read."""


def request_licences(
    poetry: Poetry, wheels: Iterable[_Wheel], servers: PackageServers | None
) -> tuple[dict[str, tuple[str, ...]], DockerCacheError | None]:
    """Return the licences by the hash of the wheel, and why some are missing.

    A source that has failed is not asked again. A wheel without a metadata file has no licences;
    a wheel that its source does not list is left out.
    """
    files = [LockedFile.of(package, wheel) for package, wheel in wheels]
    found: dict[str, tuple[str, ...]] = {}
    failures: dict[str, DockerCacheError] = {}
    reached = servers or PackageServers(poetry)

    def request(file: LockedFile) -> None:
        source = str(file.source.get("reference", ""))
        if source in failures:
            return
        try:
            found[file.hash] = _request(reached, file)
        except LookupError:
            return
        except DockerCacheError as error:
            failures.setdefault(source, error)

    late = None
    try:
        _for_each(files, request)
    except TimeoutError:
        late = DockerCacheError("Their sources did not answer in time.", fix="Check your network.")
    return dict(found), next(iter(failures.values()), late)


def _for_each(files: Sequence[LockedFile], request: Callable[[LockedFile], None]) -> None:
    """Request several files at a time. Raises TimeoutError, and what `request` raises."""
    waiting: queue.SimpleQueue[LockedFile] = queue.SimpleQueue()
    for file in files:
        waiting.put(file)
    done: queue.SimpleQueue[Exception | None] = queue.SimpleQueue()

    def work() -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                file = waiting.get_nowait()
                try:
                    request(file)
                    done.put(None)
                except Exception as error:  # noqa: BLE001  # raised below
                    done.put(error)

    background = Background(_PATIENCE)
    for _ in range(min(_MOST_AT_ONCE, len(files))):
        background.start(work)
    for _ in files:
        try:
            error = done.get(timeout=min(_SILENCE, background.left))
        except queue.Empty:
            raise TimeoutError from None
        if error:
            raise error


def _request(servers: PackageServers, file: LockedFile) -> tuple[str, ...]:
    """Return the licences of a wheel. Raises what `metadata` raises, also for another file."""
    server = servers.of(file)
    assert server is not None  # noqa: S101  # the wheel is from a source
    text = server.metadata(file)
    if text is None:
        return ()
    licences = read_licences(text)
    if licences is None:  # such as a page of a proxy
        raise LookupError(file.file)
    return licences
