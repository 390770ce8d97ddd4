"""What is known at one point of a stage."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field

from poetry_docker_cache.docker.final_stage import expand
from poetry_docker_cache.migrate.surroundings import Surroundings  # noqa: TC001  # a field's type


@dataclass(kw_only=True)
class StageState:
    """Variables, folders and users at one point of a stage. Changes from line to line."""

    around: Surroundings
    home: str
    """The folder of the application in the production image."""
    used: str = ""
    """The commands and scripts that run in the container."""
    is_final: bool = True
    """Whether the stage is the production image, or one that it is based on."""
    alpine: bool = False
    values: dict[str, str] = field(default_factory=dict)
    arguments: dict[str, str | None] = field(default_factory=dict)
    """The build arguments with their defaults."""
    secrets: dict[str, str] = field(default_factory=dict)
    """Variables that look like secrets: only build steps get them."""
    workdir: str = "/"
    folder: str = "/"
    """The folder of the current command of a RUN."""
    has_vendor: bool = False
    """Whether a vendor's package repository was added."""
    user: str = "root"
    users: dict[str, str] = field(default_factory=dict)
    """The users that the Dockerfile creates, as `uid:gid` or an empty text."""
    group_ids: dict[str, str] = field(default_factory=dict)
    made: dict[str, str] = field(default_factory=dict)
    """Folders that it creates, with their mode."""
    filled: set[str] = field(default_factory=set)
    """Places that the old build copies files to, so that they are part of the code."""
    copied: dict[str, str] = field(default_factory=dict)
    """Places in the image of copied files and folders, with their paths in the project."""

    def expand(self, text: str) -> str:
        """Fill in the variables that are known."""
        return expand(text, self.values)

    def place(self, path: str) -> str:
        """Return the absolute path of a path in the current command."""
        expanded = self.expand(path)
        if expanded == "~" or expanded.startswith("~/"):
            expanded = f"/root{expanded[1:]}"
        return posixpath.normpath(posixpath.join(self.folder, expanded))

    def inner(self, place: str) -> str:
        """Return a place relative to the application's folder if it is below it."""
        inside = place.startswith(f"{self.home}/")
        return posixpath.relpath(place, self.home) if inside else place

    def is_tool_folder(self, place: str) -> bool:
        """Whether a folder belongs to the user, to Python, to Poetry or to a package manager."""
        names = ("VIRTUAL_ENV", "POETRY_HOME", "PYSETUP_PATH", "VENV_PATH", "POETRY_CACHE_DIR")
        tools = {self.values[name] for name in names if self.values.get(name)}
        tools |= {
            "/venv",
            "/root",
            "/run",
            "/var/run",
            "/usr/local/lib/python3",
            "/var/lib/apt",
            "/opt/poetry",
        }
        tools |= {f"/home/{name}" for name in self.users}
        exact = {self.home, "/", "/tmp", "/home", "/usr", "/usr/local", "/usr/local/bin", "/var"}  # noqa: S108  # in the image
        exact |= {"/opt", "/srv", "/etc", "/bin", self.workdir if self.is_final else ""}
        hidden = "/.venv" in place or "/.cache" in place or "site-packages" in place
        if place.startswith(f"{self.home}/") and not any(
            f"{place}/".startswith(f"{self.values.get(name) or '-'}/") for name in names
        ):
            return hidden
        above = f"{self.home}/".startswith(f"{place}/")
        inside = any(f"{place}/".startswith(f"{tool}/") for tool in tools if tool.startswith("/"))
        return place in exact or above or inside or hidden
