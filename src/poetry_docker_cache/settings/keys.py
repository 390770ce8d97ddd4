"""The definition of one setting: `setting` declares it, `Key` describes it.

Each setting is a field of `settings.table.Settings`, which holds its name, type and default. The
parser, the errors, the page of settings and the JSON schema are made from these fields.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, TypeVar

from poetry_docker_cache.settings.setting_errors import Spot, shown

if TYPE_CHECKING:
    from poetry_docker_cache.settings.value_reader import Reader

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Key:
    """One setting. The texts are Markdown; `example` is a line of TOML that is accepted."""

    name: str
    takes: str
    meaning: str
    example: str
    read: Reader[object]
    default: object
    default_text: str
    """The default in words, or as TOML."""

    @property
    def field(self) -> str:
        """The name of the field in `Settings`."""
        return self.name.replace("-", "_")

    @property
    def spot(self) -> Spot:
        """The place of its value in the table."""
        return Spot(path=self.name, takes=self.takes, example=self.example)


def setting(  # noqa: PLR0913  # all that defines a setting
    *,
    default: T,
    read: Reader[T],
    takes: str,
    meaning: str,
    example: str,
    default_text: str = "",
) -> T:
    """Define a field of `Settings`.

    `default_text` describes a default that is decided elsewhere, for example the project's name.
    """
    metadata = {
        "read": read,
        "takes": takes,
        "meaning": meaning,
        "example": example,
        "default_text": default_text or ("none" if default is None else f"`{shown(default)}`"),
    }
    return field(default=default, metadata=metadata)


def keys_of(settings: type) -> tuple[Key, ...]:
    """The keys that the fields of this dataclass define, in their order."""
    return tuple(
        Key(name=each.name.replace("_", "-"), default=each.default, **each.metadata)
        for each in fields(settings)
    )


_PIP_ONLY = "pip installs every wheel, and Poetry what must be built or does not come from an index"
REMOVED = {"installer": _PIP_ONLY, "uv-version": _PIP_ONLY}
"""Keys of earlier releases, each with the reason why it was removed."""
