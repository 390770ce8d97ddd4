"""What is known of one key of `[tool.poetry-docker-cache]`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from poetry_docker_cache.settings.errors import Spot

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, kw_only=True)
class Key:
    """One setting. The texts are Markdown; `example` is a line of TOML that would be accepted."""

    name: str
    takes: str
    default: str
    meaning: str
    example: str
    read: Callable[[Spot, object], object]

    @property
    def field(self) -> str:
        """The name of the dataclass field that holds it."""
        return self.name.replace("-", "_")

    @property
    def spot(self) -> Spot:
        """Where its value stands."""
        return Spot(path=self.name, takes=self.takes, example=self.example)
