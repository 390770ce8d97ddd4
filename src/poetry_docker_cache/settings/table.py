"""`[tool.poetry-docker-cache]` of pyproject.toml as data, for one image or for each of several."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from poetry_docker_cache.caches.spec import cache_of
from poetry_docker_cache.docker.image_names import in_repository, repository_of
from poetry_docker_cache.settings.image_values import Healthcheck, Instructions
from poetry_docker_cache.settings.keys import KEYS, REMOVED
from poetry_docker_cache.settings.setting_errors import (
    TABLE,
    SettingsError,
    kind,
    removed_key,
    unknown_key,
)

if TYPE_CHECKING:
    from poetry_docker_cache.caches.spec import Cache


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
        _refuse_unknown(table, [key.name for key in KEYS])
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


def _refuse_unknown(table: Mapping[str, object], known: Collection[str], inside: str = "") -> None:
    """Raise `SettingsError` for a key that does not exist, or not any more."""
    for name in table:
        if name in REMOVED:
            raise removed_key(name, REMOVED[name], inside=inside)
        if name not in known:
            raise unknown_key(str(name), known, inside=inside)


def plain(value: object) -> object:
    """Take off tomlkit's wrapper: its booleans in lists, for one, are none of Python's."""
    unwrap = getattr(value, "unwrap", None)
    return unwrap() if callable(unwrap) else value


_MERGED = ("env", "instructions", "labels")
"""Tables that are laid over each other key by key; any other value replaces the common one."""

_OWN_KEYS = tuple(key for key in KEYS if key.name != "images")


def parse_images(table: object) -> dict[str, Settings]:
    """Give the settings of each named image; nothing where the project names none.

    Raises `SettingsError` as `Settings.parse` does, for a mistake in an image with its path.
    """
    common = Settings.parse(table)
    if not isinstance(table, Mapping) or not common.images:
        return {}
    images: Any = plain(table["images"])
    return {name: _parse(name, images[name], table, common) for name in common.images}


def _parse(
    name: str, own: Mapping[str, object], table: Mapping[str, object], common: Settings
) -> Settings:
    inside = f"images.{name}"
    _refuse_unknown(own, [key.name for key in _OWN_KEYS], inside=inside)
    read: dict[str, Any] = {}
    for key in _OWN_KEYS:
        if key.name in own:
            spot = replace(key.spot, path=f"{inside}.{key.name}")
            read[key.field] = key.read(spot, _laid_over(key.name, table, own))
    # What all images have in common can name one place only, and each has its own.
    if "image" not in own and common.image is not None:
        read["image"] = f"{common.image}-{name}"
    if "cache" not in own and common.cache is not None:
        read["cache"] = cache_of(name, common.cache)
    settings = replace(common, images=(), **read)
    if "reuse-image" not in own:
        settings = replace(settings, reuse_image=_earlier(common, settings.image))
    settings.refuse_unknown_python(inside=f"{inside}.")
    return settings


def _earlier(common: Settings, image: str | None) -> str | None:
    """Give the earlier image of one of several: none is ever called as all of them in common."""
    earlier = common.reuse_image
    if not (earlier and image and common.image):
        return earlier
    is_common = repository_of(earlier) == repository_of(common.image)
    return in_repository(earlier, image) if is_common else earlier


def _laid_over(key: str, table: Mapping[str, object], own: Mapping[str, object]) -> object:
    """Give an image's value of a setting, with the common one below it where both are tables."""
    value, below = plain(own[key]), plain(table.get(key))
    if key in _MERGED and isinstance(value, Mapping) and isinstance(below, Mapping):
        return {**below, **value}
    return value
