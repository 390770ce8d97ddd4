"""No progress, for `-q`: what BuildKit reports is only read, but a question is shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from poetry_docker_cache.buildx.build_stream import BuildStream


@dataclass(kw_only=True)
class SilentDisplay:
    """Reads the progress of a build and shows nothing but questions."""

    stream: BuildStream
    write: Callable[[str], object]
    """Write text to stderr."""

    def read(self, line: str) -> None:
        """Take a line of the client."""
        self.stream.read(line)

    def ask(self, text: str) -> None:
        """Print a question and its reasons: bake waits for the answer if stdin is a terminal."""
        self.write("\n".join([*self.stream.messages, text]))

    def tick(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""
