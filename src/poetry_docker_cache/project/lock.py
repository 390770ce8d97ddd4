"""poetry.lock, read without Poetry: what wrote it, whether it is fresh, and what it holds."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from packaging.version import InvalidVersion, Version

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.inside.manifest.locked_packages import is_path_dependency, readable, select
from poetry_docker_cache.inside.manifest.markers import evaluate
from poetry_docker_cache.inside.manifest.old_locks import DamagedError
from poetry_docker_cache.inside.manifest.target import Target

if TYPE_CHECKING:
    from collections.abc import Iterable

    from poetry_docker_cache.project.selection import Selection

OLDEST_FORMAT = Version("1")
NEWEST_FORMAT = Version("3")
_WHOLE_FORMAT = Version("2.1")
"""The first that says which groups a package belongs to, and under which markers."""

RESTORE = "Restore it from version control, or run `poetry lock --regenerate`."
_GROUPS_HASHED_SINCE = Version("2.3")

_PROJECT_KEYS = ("requires-python", "dependencies", "optional-dependencies")
_LEGACY_KEYS = ("dependencies", "source", "extras", "dev-dependencies")
_POETRY_KEYS = (*_LEGACY_KEYS, "group")


@dataclass(frozen=True, kw_only=True)
class Lock:
    """A lock file that fits its pyproject.toml."""

    data: Mapping[str, Any]
    generator: Version | None
    """The Poetry that wrote it, as far as the header names one."""

    @property
    def packages(self) -> list[dict[str, Any]]:
        """The `[[package]]` tables, as they are."""
        packages: list[dict[str, Any]] = self.data.get("package", [])
        return packages

    @property
    def older_format(self) -> str | None:
        """Its format, if that does not say itself what is for which group; None since 2.1."""
        return str(self.data["metadata"]["lock-version"]) if "graph" in self.data else None


def check_lock(header: str, data: Mapping[str, Any], pyproject: Mapping[str, Any]) -> Lock:
    """The lock, if it is of a known format and fresh.

    `header` is the file's first line. Raises DockerCacheError.
    """
    metadata = data.get("metadata", {})
    generator = _generator(header)
    writer = f" It was written by Poetry {generator}." if generator else ""
    try:
        written = Version(str(metadata["lock-version"]))
        content_hash = str(metadata["content-hash"])
    except (KeyError, TypeError, InvalidVersion):
        raise DockerCacheError(
            "poetry.lock has no usable [metadata]: it is damaged, or far too old.",
            fix=RESTORE,
        ) from None
    if written >= NEWEST_FORMAT:
        raise DockerCacheError(
            f"poetry.lock has the format {written}, newer than this release knows.{writer}",
            fix=(
                "Update the plugin (`poetry self update poetry-docker-cache`), or write the lock"
                " with a Poetry that it knows: `poetry lock --regenerate`."
            ),
        )
    if written < OLDEST_FORMAT:
        raise DockerCacheError(
            f"poetry.lock has the format {written}, which is too old to be read.{writer}",
            fix="Run `poetry lock --regenerate`.",
        )
    if content_hash not in _content_hashes(pyproject, generator):
        raise DockerCacheError(
            "pyproject.toml changed significantly since poetry.lock was written: the image would"
            f" not hold what pyproject.toml asks for.{writer}",
            fix="Run `poetry lock`.",
        )
    if written < _WHOLE_FORMAT:
        data = _readable(pyproject, data)
    else:
        _check_packages(data.get("package", []))
    return Lock(data=data, generator=generator)


def locked_packages(lock: Lock, selection: Selection, python: str) -> list[dict[str, Any]]:
    """The `[[package]]` tables that an image with this Python ("3.12") may hold in its layers.

    To each is added, as `marker`, what its markers leave to what the image runs on, or "". Raises
    DockerCacheError for a lock of an older format that does not tell.
    """
    chosen = _chosen(lock, selection, python)
    return [package for package in chosen if not is_path_dependency(package)]


def path_dependencies(lock: Lock, selection: Selection, python: str) -> list[dict[str, Any]]:
    """The tables, with `marker` as above, of what is built from folders of this machine."""
    return [it for it in _chosen(lock, selection, python) if is_path_dependency(it)]


def _chosen(lock: Lock, selection: Selection, python: str) -> list[dict[str, Any]]:
    environment = Target.linux(python=python).environment
    try:
        chosen = select(lock.data, selection.groups, selection.extras, environment)
    except ValueError as error:
        raise DockerCacheError(
            f"For an image with Python {python}: {error}.",
            fix=(
                "Run `poetry lock` with Poetry 2.1 or newer: it keeps the locked versions. Or set"
                " another `python` in [tool.poetry-docker-cache]."
            ),
        ) from error
    return [{**package, "marker": marker} for package, marker in chosen]


def _readable(pyproject: Mapping[str, Any], data: Mapping[str, Any]) -> Mapping[str, Any]:
    """A lock of an older format, as `locked_packages` reads it. Raises DockerCacheError."""
    _check_packages(data.get("package", []), older=True)
    try:
        found = readable(pyproject, data)
    except DamagedError as error:
        raise _damaged(error.what) from error
    except ValueError as error:
        raise DockerCacheError(
            "poetry.lock is of an old format, and what pyproject.toml asks for cannot be followed"
            f" through it: {error}.",
            fix="Run `poetry lock` with Poetry 2.1 or newer: it keeps the locked versions.",
        ) from error
    _check_packages(found["package"], older=True)
    return found


def _check_packages(packages: object, *, older: bool = False) -> None:
    """Raise DockerCacheError where a `[[package]]` lacks what everything after this reads."""
    damaged = [] if isinstance(packages, list) else ["what stands for its packages"]
    for number, package in enumerate(packages if isinstance(packages, list) else [], start=1):
        if not _is_whole(package, older=older):
            name = package.get("name") if isinstance(package, Mapping) else None
            damaged.append(f"the entry of {name}" if name else f"its package number {number}")
    if damaged:
        raise _damaged(damaged[0])


def _damaged(what: str) -> DockerCacheError:
    return DockerCacheError(
        f"poetry.lock is damaged: {what} is not what Poetry writes, so nobody knows what the image"
        " is to hold.",
        fix=RESTORE,
    )


def _is_whole(package: object, *, older: bool) -> bool:
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
    # The header is free text that anyone can edit: only a version leaves this function.
    match = re.search(r"\bPoetry (\d+(?:\.\d+)*\S*)", header)
    if not match:
        return None
    try:
        return Version(match.group(1))
    except InvalidVersion:
        return None


def _content_hashes(pyproject: Mapping[str, Any], generator: Version | None) -> set[str]:
    """The hashes of what Poetry resolves from that a fresh lock may carry.

    The rule is `Locker._get_content_hash`. Since Poetry 2.3 it covers `[dependency-groups]`; a lock
    from before that is fresh without them, whichever Poetry runs now.
    """
    hashes = {_content_hash(pyproject, pyproject.get("dependency-groups", {}))}
    if generator is None or generator < _GROUPS_HASHED_SINCE:
        hashes.add(_content_hash(pyproject, {}))
    return hashes


def _content_hash(pyproject: Mapping[str, Any], groups: Mapping[str, Any]) -> str:
    table = pyproject.get("project", {})
    project = {key: table[key] for key in _PROJECT_KEYS if table.get(key) is not None}
    table = pyproject.get("tool", {}).get("poetry", {})
    legacy_only = not project and not groups
    poetry = {
        key: table.get(key)
        for key in _POETRY_KEYS
        if table.get(key) is not None or (legacy_only and key in _LEGACY_KEYS)
    }
    content: dict[str, Any] = {}
    if project:
        content["project"] = project
    if groups:
        content["dependency-groups"] = groups
    content = {**content, "tool": {"poetry": poetry}} if content else poetry
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
