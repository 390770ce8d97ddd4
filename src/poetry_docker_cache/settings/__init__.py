"""`[tool.poetry-docker-cache]` of pyproject.toml as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from poetry_docker_cache.settings.docker import Healthcheck, Instructions
from poetry_docker_cache.settings.errors import TABLE, SettingsError, kind, unknown_key
from poetry_docker_cache.settings.install import NEWEST_UV, Installer
from poetry_docker_cache.settings.keys import KEYS

if TYPE_CHECKING:
    from poetry_docker_cache.caches.spec import Cache

__all__ = ["Healthcheck", "Installer", "Instructions", "Settings", "SettingsError"]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the user asked for; None is what the project, the lock or the base decides.

    `settings.keys.KEYS` says what each key takes and means.
    """

    image: str | None = None
    python: str | None = None
    base_image: str = "python:{python}-slim"
    build_image: str | None = None
    shell: bool | None = None
    platforms: tuple[str, ...] = ()
    poetry_version: str | None = None
    installer: Installer = "pip"
    uv_version: str = NEWEST_UV
    groups: tuple[str, ...] = ("main",)
    extras: tuple[str, ...] = ()
    build_packages: tuple[str, ...] = ()
    runtime_packages: tuple[str, ...] = ()
    optional_libraries: tuple[str, ...] = ()
    ssh_known_hosts: tuple[str, ...] = ()
    layers: int | Literal["auto"] = "auto"
    own_layers: tuple[str, ...] = ()
    files: tuple[str, ...] | None = None
    workdir: str = "/app"
    user: str = "10001:10001"
    entrypoint: tuple[str, ...] | None = None
    command: tuple[str, ...] | None = None
    env: tuple[tuple[str, str], ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    ports: tuple[str, ...] = ()
    healthcheck: Healthcheck | Literal[False] | None = None
    stop_signal: str | None = None
    compile: bool = False
    syntax: str | Literal[False] = "auto"
    cache: Cache | None = None
    download_cache: str | None = None
    reuse_image: str | None = None
    ignore: tuple[str, ...] = ()
    instructions: Instructions = field(default_factory=Instructions)
    template: str | None = None
    images: tuple[str, ...] = ()
    """The names of several images, which `settings.images` reads; then these are common to all."""

    @classmethod
    def parse(cls, table: object) -> Settings:
        """Give the settings of a TOML table, which stays as it is.

        Raises `SettingsError` for an unknown key, a wrong type or an impossible value.
        """
        if not isinstance(table, Mapping):
            raise SettingsError(
                f"`{TABLE[1:-1]}` in pyproject.toml is {kind(table)}, not a table.",
                fix=f"Write the settings below a line {TABLE}, each as key = value.",
            )
        known = tuple(key.name for key in KEYS)
        for name in table:
            if name not in known:
                raise unknown_key(str(name), known)
        # Each reader gives its field's type; `tests/unit/test_settings.py` holds them together.
        read: dict[str, Any] = {
            key.field: key.read(key.spot, plain(table[key.name]))
            for key in KEYS
            if key.name in table
        }
        settings = cls(**read)
        if not settings.images:
            settings.refuse_unknown_python()
        return settings

    def refuse_unknown_python(self, *, inside: str = "") -> None:
        """Raise `SettingsError` where nothing says which Python a base image has."""
        if self.python is None and "{python}" not in self.base_image:
            raise SettingsError(
                f"`{inside}python` in {TABLE} is missing: `base-image` is {self.base_image}, which "
                "does not say which Python is in it.",
                fix='Add the Python of that image, for example python = "3.12", or write '
                "{python} where the image's name has its version.",
            )


def plain(value: object) -> object:
    """Take off tomlkit's wrapper: its booleans in lists, for one, are none of Python's."""
    unwrap = getattr(value, "unwrap", None)
    return unwrap() if callable(unwrap) else value
