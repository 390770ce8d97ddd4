"""The packages that a virtual environment contains, by their `*.dist-info` folders. Pure."""

from __future__ import annotations

import csv
import json
import posixpath
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from poetry_docker_cache.inside.install.installed_files import name_and_version

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from poetry_docker_cache.verify.image_tree import ImageTree

_INFO = re.compile(r"[^/]+\.dist-info")
_HEADER = re.compile(r"^(Name|Version):[ \t]*(.*?)\s*$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Distribution:
    """An installed package."""

    name: str
    """In canonical form."""
    version: str
    info: str
    """The path of its `*.dist-info` folder."""
    record: Mapping[str, str] | None
    """The hash of each of its files, by path in the image; None without a RECORD."""
    scripts: Mapping[str, str]
    """What its console scripts call, by name."""
    commit: str
    """The commit of the git repository that it was installed from; empty for another source."""

    def is_intact(self, files: Collection[str]) -> bool:
        """Return whether all of its files with a hash are among the intact ones."""
        record = self.record or {}
        return bool(record) and all(path in files for path, digest in record.items() if digest)

    def __str__(self) -> str:
        """Return name and version."""
        return f"{self.name} {self.version}"


def site_packages(tree: ImageTree, venv: str) -> list[str]:
    """Return the folders of packages in an environment."""
    place = tree.resolve(venv)
    pattern = re.compile(rf"{re.escape(place)}/lib/python[\d.]+t?/site-packages")
    return sorted(path for path in tree.nodes if pattern.fullmatch(path))


def read_distributions(tree: ImageTree, folders: Sequence[str]) -> list[Distribution]:
    """Return the installed packages, sorted."""
    found = [
        _read(tree, path)
        for folder in folders
        for path, node in tree.below(folder)
        if node.kind == "folder" and _INFO.fullmatch(path.removeprefix(f"{folder}/"))
    ]
    return sorted(found, key=lambda each: (each.name, each.version))


def intact_files(tree: ImageTree, installed: Sequence[Distribution]) -> set[str]:
    """Return the files that match the hash in the RECORD of a package."""
    return {
        path
        for each in installed
        for path, digest in (each.record or {}).items()
        if digest and (node := tree.get(path)) and digest == f"sha256={node.digest}"
    }


def find_everywhere(tree: ImageTree, name: str) -> list[str]:
    """Return the `*.dist-info` folders of a package in the whole image."""
    start = re.compile(rf"(?:.*/)?{re.escape(name)}-[^/]+\.dist-info", re.IGNORECASE)
    return sorted(path for path in tree.nodes if start.fullmatch(path))


def _read(tree: ImageTree, info: str) -> Distribution:
    name, version = name_and_version(PurePosixPath(info))
    headers = dict(reversed(_HEADER.findall(tree.text(f"{info}/METADATA").partition("\n\n")[0])))
    return Distribution(
        name=str(canonicalize_name(headers.get("Name", name))),
        version=headers.get("Version", version),
        info=info,
        record=_record(tree, info),
        scripts=_scripts(tree.text(f"{info}/entry_points.txt")),
        commit=_commit(tree.text(f"{info}/direct_url.json")),
    )


def _record(tree: ImageTree, info: str) -> dict[str, str] | None:
    if tree.get(f"{info}/RECORD") is None:
        return None
    folder = posixpath.dirname(info)
    rows = csv.reader(tree.text(f"{info}/RECORD").splitlines())
    found = {}
    for row in rows:
        if row:
            path = posixpath.normpath(posixpath.join(f"/{folder}", row[0])).lstrip("/")
            found[path] = row[1] if len(row) > 1 else ""
    return found


def _scripts(text: str) -> dict[str, str]:
    """Parse the part of entry_points.txt about console scripts."""
    found, section = {}, ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            section = line.strip("[] ")
        elif section in ("console_scripts", "gui_scripts") and "=" in line and line[0] not in "#;":
            name, _, target = line.partition("=")
            found[name.strip()] = target.partition("[")[0].strip()
    return found


def _commit(text: str) -> str:
    try:
        origin: Any = json.loads(text)
        return str(origin["vcs_info"]["commit_id"])
    except (ValueError, LookupError, TypeError):
        return ""
