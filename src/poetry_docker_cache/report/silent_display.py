"""No progress, for `-q`: what BuildKit reports is only read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from poetry_docker_cache.buildx.build_stream import BuildStream


@dataclass(kw_only=True)
class SilentDisplay:
    """Reads the progress of a build and shows nothing."""

    stream: BuildStream

    def read(self, line: str) -> None:
        """Take a line of the client."""
        self.stream.read(line)

    def ask(self, text: str) -> None:
        """Take a question, which BuildKit only asks on a terminal."""
        self.stream.read(text)

    def tick(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""
