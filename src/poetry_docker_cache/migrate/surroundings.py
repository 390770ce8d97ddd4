"""The project around a Dockerfile, as plain data."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from poetry_docker_cache.docker.ignore_patterns import is_inside
from poetry_docker_cache.project.model import Project, WheelRoot

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_STATIC_ROOT = re.compile(r"^STATIC_ROOT\s*(?::\s*\w+\s*)?=\s*(.+)$", re.MULTILINE)
_FOLDER_OF_FILE = re.compile(r"^BASE_DIR\s*(?::\s*\w+\s*)?=\s*(.+)$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """The project, and the files around its Dockerfile."""

    project: Project
    """As it is without the Dockerfile."""
    files: frozenset[str] = frozenset()
    """The paths of the project's files."""
    texts: Mapping[str, str] = field(default_factory=dict)
    """The texts of scripts, Django's settings and manifests of front ends."""
    installed: frozenset[str] = frozenset()
    """The normalised names of the locked packages."""

    def is_file(self, path: str) -> bool:
        """Whether the project has this file."""
        return path in self.files

    def is_folder(self, path: str) -> bool:
        """Whether the project has a file below this path."""
        return path == "." or any(name.startswith(f"{path}/") for name in self.files)

    def matching(self, pattern: str) -> list[str]:
        """List the paths that a source of COPY stands for."""
        if not set(pattern) & set("*?["):
            return [pattern] if self.is_file(pattern) or self.is_folder(pattern) else []
        depth = pattern.count("/") + 1
        paths = {"/".join(name.split("/")[:depth]) for name in self.files}
        return sorted(
            path for path in paths if path.count("/") + 1 == depth and fnmatchcase(path, pattern)
        )

    def in_wheel(self, path: str) -> bool:
        """Whether a path is part of the project's wheel."""
        root = self.project.root
        return isinstance(root, WheelRoot) and is_inside(path, root.paths)

    def found_by_default(self, path: str) -> bool:
        """Whether the image has a path beside the package without a setting."""
        default = self.project.files
        return default is None or is_inside(path, default)

    def has_code(self, folder: str) -> bool:
        """Whether a folder has Python files."""
        return any(name.startswith(f"{folder}/") and name.endswith(".py") for name in self.files)

    def static_root(self) -> str | None:
        """The folder of `collectstatic`, relative to the project or absolute; None if unclear."""
        found: set[str | None] = {
            place
            for path, text in self.texts.items()
            for match in _STATIC_ROOT.finditer(text)
            for place in [_place(path, text, match[1])]
        }
        return found.pop() if len(found) == 1 else None

    def translations(self) -> list[str]:
        """List the folders of translations for gettext."""
        found = {
            name.partition("/LC_MESSAGES/")[0].rpartition("/")[0]
            for name in self.files
            if name.endswith(".po") and "/LC_MESSAGES/" in name
        }
        return sorted(found - {""})


def _place(path: str, text: str, value: str) -> str | None:
    """Return the folder that an expression of Django's settings stands for."""
    strings = re.findall(r"[\"']([^\"']*)[\"']", value)
    if not strings or any(not part or "$" in part or "{" in part for part in strings):
        return None
    joined = posixpath.join(*strings)
    if joined.startswith("/"):
        return posixpath.normpath(joined) if len(strings) == 1 else None
    if re.fullmatch(r"(?:Path|str)?\(?[\"'][^\"']*[\"']\)?", value.strip()):
        return posixpath.normpath(joined)  # relative to the working directory
    base = _FOLDER_OF_FILE.search(text)
    if "BASE_DIR" not in value or not base or re.search(r"environ|getenv|env\(", value):
        return None
    levels = len(re.findall(r"\.parent\b", base[1])) + base[1].count("dirname(")
    if match := re.search(r"\.parents\[(\d+)\]", base[1]):
        levels = int(match[1]) + 1
    folder = path
    for _ in range(levels):
        folder = posixpath.dirname(folder)
    found = posixpath.normpath(posixpath.join(folder, joined))
    return found if levels and "__file__" in base[1] and not found.startswith("..") else None


def outermost_of(paths: Collection[str]) -> list[str]:
    """Return sorted paths without those inside another."""
    return sorted(
        path for path in paths if not any(path.startswith(f"{other}/") for other in paths)
    )
