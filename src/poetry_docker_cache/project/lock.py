"""poetry.lock: which Poetry wrote it, whether it is fresh, and which packages it locks."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.version import InvalidVersion, Version
from poetry.packages.locker import Locker

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.inside.manifest.lock_entries import DamagedError
from poetry_docker_cache.inside.manifest.locked_packages import readable
from poetry_docker_cache.inside.manifest.markers import evaluate
from poetry_docker_cache.inside.manifest.target import Target
from poetry_docker_cache.project.model import Lock

if TYPE_CHECKING:
    from collections.abc import Iterable


OLDEST_FORMAT = Version("1")
NEWEST_FORMAT = Version("3")
_FORMAT_WITH_GROUPS = Version("2.1")
"""The first format that has the groups and markers of each package."""

RESTORE = "Restore it from version control, or run `poetry lock --regenerate`."
_GROUPS = "dependency-groups"
_GROUPS_HASHED_SINCE = Version("2.3")


def check_lock(
    header: str,
    data: Mapping[str, Any],
    pyproject: Mapping[str, Any],
    *,
    may_be_stale: bool = False,
) -> Lock:
    """Return the lock. Raises DockerCacheError for a stale or damaged one, or an unknown format.

    `header` is the file's first line. `may_be_stale` accepts a stale lock.
    """
    metadata = data.get("metadata", {})
    generator = _generator(header)
    writer = f" It was written by Poetry {generator}." if generator else ""
    try:
        written = Version(str(metadata["lock-version"]))
        content_hash = str(metadata["content-hash"])
    except (KeyError, TypeError, InvalidVersion):
        raise DockerCacheError(
            "poetry.lock has no valid [metadata]: it is damaged or far too old.",
            fix=RESTORE,
        ) from None
    if written >= NEWEST_FORMAT:
        raise DockerCacheError(
            f"poetry.lock has the format {written}, which is newer than this release supports."
            f"{writer}",
            fix=(
                "Update the plugin (`poetry self update poetry-docker-cache`), or run"
                " `poetry lock --regenerate` with an older Poetry."
            ),
        )
    if written < OLDEST_FORMAT:
        raise DockerCacheError(
            f"poetry.lock has the format {written}, which is too old.{writer}",
            fix="Run `poetry lock --regenerate`.",
        )
    if not may_be_stale and content_hash not in _content_hashes(pyproject, generator):
        raise DockerCacheError(
            "pyproject.toml changed significantly since poetry.lock was written, so the image would"
            f" not have the dependencies that pyproject.toml declares.{writer}",
            fix="Run `poetry lock`.",
        )
    older = written < _FORMAT_WITH_GROUPS
    return Lock(data=_readable(pyproject, data, older=older), generator=generator)


def _readable(
    pyproject: Mapping[str, Any], data: Mapping[str, Any], *, older: bool
) -> Mapping[str, Any]:
    """Check a lock, and convert an older format for `locked_packages`. Raises DockerCacheError."""
    _check_packages(data.get("package", []), older=older)
    try:
        found = readable(pyproject, data)
    except DamagedError as error:
        raise _damaged(error.what) from error
    except ValueError as error:
        raise DockerCacheError(
            "poetry.lock has an old format, and the dependencies in pyproject.toml cannot be found"
            f" in it: {error}.",
            fix="Run `poetry lock` with Poetry 2.1 or newer, which keeps the locked versions.",
        ) from error
    _check_packages(found.get("package", []), older=older)
    return found


def _check_packages(packages: object, *, older: bool) -> None:
    """Raise DockerCacheError for a `[[package]]` whose keys are missing or of another type."""
    damaged = [] if isinstance(packages, list) else ["its list of packages"]
    for number, package in enumerate(packages if isinstance(packages, list) else [], start=1):
        if not _is_valid(package, older=older):
            name = package.get("name") if isinstance(package, Mapping) else None
            damaged.append(f"the entry of {name}" if name else f"package number {number}")
    if damaged:
        raise _damaged(damaged[0])


def _damaged(what: str) -> DockerCacheError:
    return DockerCacheError(
        f"poetry.lock is damaged: {what} is not what Poetry writes.",
        fix=RESTORE,
    )


def _is_valid(package: object, *, older: bool) -> bool:
    if not isinstance(package, Mapping):
        return False
    files, groups, markers = (package.get(key) for key in ("files", "groups", "markers"))
    texts = [package.get("name"), package.get("version")]
    texts += groups if isinstance(groups, list) else [] if older else [None]
    for file in files if isinstance(files, list) else [] if older and files is None else [{}]:
        texts += [file.get("file"), file.get("hash")] if isinstance(file, Mapping) else [None]
    texts += markers.values() if isinstance(markers, Mapping) else [markers or ""]
    source = package.get("source", {})
    if isinstance(source, Mapping) and source.get("type") == "directory":
        texts.append(source.get("url"))
    return (
        all(isinstance(text, str) for text in texts)
        and isinstance(source, Mapping)
        and _are_markers(markers.values() if isinstance(markers, Mapping) else [markers or ""])
    )


def _are_markers(markers: Iterable[str]) -> bool:
    environment = Target.linux(python="3.12").environment
    try:
        for marker in markers:
            evaluate(marker, environment, set())
    except (KeyError, ValueError):
        return False
    return True


def _generator(header: str) -> Version | None:
    # The header is free text and the version goes into a RUN line: return nothing but a version.
    match = re.search(r"\bPoetry (\d+(?:\.\d+)*\S*)", header)
    if not match:
        return None
    try:
        return Version(match.group(1))
    except InvalidVersion:
        return None


def _content_hashes(pyproject: Mapping[str, Any], generator: Version | None) -> set[str]:
    """Return the content hashes that a fresh lock may have, regardless of the Poetry that runs.

    Since Poetry 2.3 the hash covers `[dependency-groups]`; older locks are fresh without them.
    """
    without_groups = {name: pyproject[name] for name in pyproject if name != _GROUPS}
    old, new = _content_hash(without_groups), _content_hash(pyproject)
    if pyproject.get(_GROUPS) and new == old:  # Poetry 2.1 or 2.2 is running
        new = _hash_with_groups(pyproject)
    return {old, new} if generator is None or generator < _GROUPS_HASHED_SINCE else {new}


def _content_hash(pyproject: Mapping[str, Any]) -> str:
    return Locker(Path("poetry.lock"), dict(pyproject))._content_hash  # noqa: SLF001  # not public


def _hash_with_groups(pyproject: Mapping[str, Any]) -> str:
    """Hash as Poetry 2.3 does if there are dependency groups."""
    project = _present(pyproject.get("project", {}), Locker._relevant_project_keys)  # noqa: SLF001
    poetry = _present(pyproject.get("tool", {}).get("poetry", {}), Locker._relevant_keys)  # noqa: SLF001
    content = {"project": project} if project else {}
    content |= {_GROUPS: pyproject[_GROUPS], "tool": {"poetry": poetry}}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _present(table: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    return {key: table[key] for key in keys if table.get(key) is not None}
