"""The files that cargo needs to compile a project's Rust code."""

from __future__ import annotations

import os
import posixpath
import re
from typing import TYPE_CHECKING, Any

from poetry_docker_cache.system.compat import tomllib

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

_MANIFEST = "Cargo.toml"
_SETTINGS = ("Cargo.lock", ".cargo", "rust-toolchain", "rust-toolchain.toml")
_USUAL = ("build.rs", "src")
_TARGETS = {"bench": "benches", "bin": "src/bin", "example": "examples", "test": "tests"}
"""Tables of targets, which cargo refuses to miss, and their folders."""
_INCLUDED = re.compile(r"include(?:_str|_bytes)?!\s*\(\s*\"(\.\./[^\"]+)\"")


def cargo_paths(folder: Path, manifests: Sequence[str] = ()) -> list[str]:
    """List the files and folders of the crates with these manifests, and of those they need.

    By default, the manifest is at the top or in a folder there. Only the crate at the top is not a
    whole folder, since that would be the whole project.
    """
    found = manifests or [_MANIFEST] * (folder / _MANIFEST).is_file()
    found = found or sorted(
        f"{path.parent.name}/{_MANIFEST}" for path in folder.glob("*/Cargo.toml")
    )
    crates = _crates(folder, map(posixpath.dirname, found))
    paths = [crate for crate in crates if crate != "."]
    if crates:
        paths += [_MANIFEST, *_SETTINGS]
    if "package" in (top := _read(folder / _MANIFEST)) and "." in crates:
        paths += [*_USUAL, *_named(top)]
    for crate in crates:
        paths += _included(folder, folder / crate / "src")
    return [path for path in paths if (folder / path).exists() or _leaves(path)]


def build_folders(paths: Iterable[str], folder: Path) -> list[str]:
    """Return cargo's output folders in these paths, which can have gigabytes."""
    return [f"{path}/target" for path in paths if (folder / path / _MANIFEST).is_file()]


def _crates(folder: Path, starts: Iterable[str]) -> list[str]:
    """Return the folders of these crates, of their workspaces and of their path dependencies."""
    crates: list[str] = []
    waiting = [start or "." for start in starts]
    while waiting:
        crate = posixpath.normpath(waiting.pop())
        if crate in crates:
            continue
        crates.append(crate)
        if _leaves(crate):  # reported as a path outside of the project
            continue
        data = _read(folder / crate / _MANIFEST)
        waiting += [posixpath.join(crate, path) for path in _dependencies(data)]
        for pattern in _strings(data, "workspace", "members"):
            found = (folder / crate).glob(f"{pattern.strip('/')}/{_MANIFEST}")
            waiting += [_relative(folder, path.parent) for path in found]
        waiting += [
            above for above in _parents(crate) if "workspace" in _read(folder / above / _MANIFEST)
        ]
    return sorted(crates)


def _relative(folder: Path, path: Path) -> str:
    return os.path.relpath(path, folder).replace(os.sep, "/")


def _leaves(path: str) -> bool:
    return posixpath.normpath(path).split("/")[0] == ".."


def _before_wildcard(pattern: str) -> str:
    plain = re.split(r"[*?\[]", pattern, maxsplit=1)[0]
    return plain if plain == pattern else plain.rpartition("/")[0]


def _parents(path: str) -> Iterator[str]:
    while path not in ("", "."):
        path = posixpath.dirname(path)
        yield path or "."


def _dependencies(data: Mapping[str, Any]) -> Iterator[str]:
    """Yield the paths of all dependencies: cargo reads each one, also of other platforms."""
    for name, table in data.items():
        if name.endswith("dependencies") and isinstance(table, dict):
            for entry in table.values():
                yield from _strings({"entry": entry}, "entry", "path")
        elif name in ("patch", "target", "workspace") and isinstance(table, dict):
            inner = [table, *(value for value in table.values() if isinstance(value, dict))]
            for each in inner:
                yield from _dependencies(each if name != "patch" else {"dependencies": each})


def _named(data: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the manifest at the top names."""
    for key in ("build", "include", "license-file", "readme"):
        yield from (_before_wildcard(path.lstrip("/")) for path in _strings(data, "package", key))
    yield from _strings(data, "lib", "path")
    for kind, usual in _TARGETS.items():
        tables = data.get(kind, [])
        for table in tables if isinstance(tables, list) else []:
            yield from _strings({kind: table}, kind, "path") or [usual]


def _included(folder: Path, sources: Path) -> Iterator[str]:
    """Yield the files that a macro in the code names."""
    for source in sorted(sources.rglob("*.rs")):
        for path in _INCLUDED.findall(source.read_text(encoding="utf-8", errors="replace")):
            yield posixpath.normpath(posixpath.join(_relative(folder, source.parent), path))


def _strings(data: Mapping[str, Any], table: str, key: str) -> list[str]:
    inner = data.get(table)
    value = inner.get(key) if isinstance(inner, dict) else None
    return [
        item for item in (value if isinstance(value, list) else [value]) if isinstance(item, str)
    ]


def _read(manifest: Path) -> Mapping[str, Any]:
    try:
        data: Mapping[str, Any] = tomllib.loads(manifest.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # cargo reports it in the build
        return {}
    return data
