"""The reader of a front end: package.json, lock file and configuration of its package manager."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from poetry_docker_cache.docker.ignore_patterns import moved, outermost
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.project.git import git_ignored, is_git_ignored, own_git_ignored
from poetry_docker_cache.project.model import FrontEnd
from poetry_docker_cache.project.npm_settings import credential_variables, hosts_in
from poetry_docker_cache.project.root.declared import is_here
from poetry_docker_cache.settings.setting_errors import TABLE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from poetry_docker_cache.settings.table import Settings

LOCKS = (
    *("npm-shrinkwrap.json", "package-lock.json"),
    *("pnpm-lock.yaml", "yarn.lock", "bun.lock", "bun.lockb"),
)
_CONFIGURATION = (
    *(".npmrc", ".yarnrc", ".yarnrc.yml", "bunfig.toml", "pnpm-workspace.yaml"),
    *(".pnpmfile.cjs", ".pnpmfile.mjs", "patches"),
    *(".yarn/releases", ".yarn/plugins", ".yarn/patches", ".yarn/cache"),
)
"""What package managers read during an install, if it is there."""
_LOCAL = ("file:", "link:", "portal:")
_DEPENDENCIES = ("dependencies", "devDependencies", "optionalDependencies")
_VERSION = re.compile(r"v?(\d+(?:\.\d+){0,2})")
_ENGINE = re.compile(r"[~^=v]*\s*(\d+)(?:\.(?:\d+|x|\*)){0,2}")


def read_front_ends(folder: Path, settings: Iterable[Settings]) -> dict[str, FrontEnd]:
    """Read the front ends that the settings of a project's images name. Raises DockerCacheError."""
    places: dict[str, set[str]] = {}
    for assets in (each for one in settings for each in one.assets):
        written = {assets.output, *([] if assets.to.startswith("/") else [assets.to])}
        places.setdefault(assets.folder, set()).update(written)
    return {place: _read(folder, place, written) for place, written in places.items()}


def _read(folder: Path, place: str, written: set[str]) -> FrontEnd:
    path = folder / place
    beside = place.startswith("../")
    if not (beside or is_here(folder, place)) or not (path / "package.json").is_file():
        raise DockerCacheError(
            f"`assets` in {TABLE} names the folder {place!r}, which has no package.json.",
            fix="Correct `folder`: it is relative to the project.",
        )
    manifest = _json(path / "package.json", posixpath.join(place, "package.json"))
    lock = next((name for name in LOCKS if (path / name).is_file()), None)
    text = _text(path / lock) if lock and lock != "bun.lockb" else ""
    configuration = [name for name in _CONFIGURATION if (path / name).exists()]
    registries = {
        posixpath.normpath(posixpath.join(place, name)): _text(path / name)
        for name in configuration
        if name in (".npmrc", ".yarnrc.yml")
    }
    manifests = [
        "package.json",
        *([lock] if lock else ()),
        *configuration,
        *_members(path, manifest, text if lock == "pnpm-lock.yaml" else ""),
    ]
    manager = manifest.get("packageManager")
    return FrontEnd(
        folder=place,
        lock=lock,
        lock_version=_lock_version(text) if lock == "pnpm-lock.yaml" else "",
        manager=manager.partition("+")[0] if isinstance(manager, str) else "",
        yarn=_kept_yarn(path),
        is_modern_yarn=lock == "yarn.lock" and "__metadata:" in text,
        manifests=tuple(
            posixpath.normpath(posixpath.join(place, name)) + "/" * (path / name).is_dir()
            for name in outermost(manifests)
        ),
        scripts=frozenset(_table(manifest, "scripts")),
        node=_node(path, manifest),
        variables=credential_variables(registries),
        hosts=hosts_in([text, *registries.values()]),
        scopes=frozenset(re.findall(r"@[\w.-]+(?=/)", text)),
        git_ignored=() if place == "." else _git_ignored(folder, place),
        generated=frozenset(name for name in written if is_git_ignored(folder, name)),
    )


def _git_ignored(folder: Path, place: str) -> tuple[str, ...]:
    """Return the lines of the project's `.gitignore` files that apply to a front end."""
    if place.startswith("../"):
        found = git_ignored(folder / place, ["."], included=(), ask_git=True)
        return tuple(moved(line, place) for line in found)
    above = git_ignored(folder, [place], included=(), ask_git=True)
    return tuple(dict.fromkeys((*above, *own_git_ignored(folder, place))))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig", errors="replace")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise DockerCacheError(
            f"{path.name} cannot be read: {error}.", fix="Fix or remove the file."
        ) from error


def _json(path: Path, name: str) -> Mapping[str, Any]:
    try:
        found = json.loads(_text(path))
    except ValueError as error:
        raise DockerCacheError(f"{name} is not valid JSON: {error}.", fix="Fix it.") from error
    if not isinstance(found, Mapping):
        raise DockerCacheError(f"{name} is not a JSON object.", fix="Fix it.")
    return found


def _table(manifest: Mapping[str, Any], name: str) -> dict[str, str]:
    """Return the entries of an object in package.json whose values are strings."""
    found = manifest.get(name)
    entries = found.items() if isinstance(found, Mapping) else ()
    return {str(key): value for key, value in entries if isinstance(value, str)}


def _members(path: Path, manifest: Mapping[str, Any], pnpm_lock: str) -> Iterator[str]:
    """Yield package.json of each workspace, and the local packages that an install reads."""
    members = [*_importers(pnpm_lock)] if pnpm_lock else [*_workspaces(path, manifest)]
    for member in (".", *members):
        file = posixpath.normpath(posixpath.join(member, "package.json"))
        if not is_here(path, file) or not (path / file).is_file():
            continue
        yield file
        yield from _local(path, member, _json(path / file, file))


def _importers(lock: str) -> Iterator[str]:
    """Yield the folders of the workspaces that pnpm-lock.yaml names."""
    _, _, after = lock.partition("\nimporters:\n")
    for line in after.splitlines():
        if line and not line.startswith(" "):
            return
        if match := re.fullmatch(r"  ([^\s].*?):(?: \{\})?", line):
            yield match[1].strip("'\"")


def _workspaces(path: Path, manifest: Mapping[str, Any]) -> Iterator[str]:
    """Yield the folders that the globs in `workspaces` match."""
    found = manifest.get("workspaces")
    globs = found.get("packages") if isinstance(found, Mapping) else found
    for glob in globs if isinstance(globs, list) else ():
        pattern = str(glob).removeprefix("./").strip("/")
        if not pattern or pattern.startswith("!") or ".." in pattern.split("/"):
            continue
        for file in sorted(path.glob(f"{pattern}/package.json")):
            member = file.parent.relative_to(path).as_posix()
            if "node_modules" not in member.split("/"):
                yield member


def _local(path: Path, member: str, manifest: Mapping[str, Any]) -> Iterator[str]:
    """Yield the archives, and package.json of the folders, that dependencies name by path."""
    for table in _DEPENDENCIES:
        for value in _table(manifest, table).values():
            kind = next((prefix for prefix in _LOCAL if value.startswith(prefix)), None)
            if kind is None:
                continue
            name = posixpath.normpath(posixpath.join(member, value.removeprefix(kind)))
            target = posixpath.join(name, "package.json") if (path / name).is_dir() else name
            if is_here(path, target) and (path / target).is_file():
                yield target


def _lock_version(text: str) -> str:
    match = re.search(r"^lockfileVersion: *['\"]?(\d+)", text, re.MULTILINE)
    return match[1] if match else ""


def _kept_yarn(path: Path) -> str:
    """Return the Yarn that .yarnrc.yml names, if it is in the folder."""
    match = re.search(r"^yarnPath: *['\"]?([^'\"\s]+)", _text(path / ".yarnrc.yml"), re.MULTILINE)
    found = posixpath.normpath(match[1]) if match else ""
    return found if found.startswith(".yarn/releases/") and (path / found).is_file() else ""


def _node(path: Path, manifest: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the version of Node.js that the project states, and the file that has it."""
    stated: Sequence[tuple[str, str]] = (
        *((name, _text(path / name).strip()) for name in (".nvmrc", ".node-version")),
        ("`volta` in package.json", _table(manifest, "volta").get("node", "")),
    )
    for name, text in stated:
        if match := _VERSION.fullmatch(text):
            return match[1], name
    engine = _table(manifest, "engines").get("node", "").strip()
    if match := _ENGINE.fullmatch(engine):
        return match[1], "`engines` in package.json"
    return None
