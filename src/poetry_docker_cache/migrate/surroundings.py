"""The project around a Dockerfile, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from poetry_docker_cache.docker.ignore_patterns import is_inside
from poetry_docker_cache.project.model import Project, WheelRoot
from poetry_docker_cache.project.root.django_settings import find_static_root

if TYPE_CHECKING:
    from collections.abc import Mapping


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

    def static_root(self, module: str = "") -> str | None:
        """The folder of `collectstatic`, relative to the project or absolute; None if unclear."""
        return find_static_root(self.texts, module)

    def translations(self) -> list[str]:
        """List the folders of translations for gettext."""
        found = {
            name.partition("/LC_MESSAGES/")[0].rpartition("/")[0]
            for name in self.files
            if name.endswith(".po") and "/LC_MESSAGES/" in name
        }
        return sorted(found - {""})
