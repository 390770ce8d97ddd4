"""A real terminal: tmux runs a command in it, and returns its screen as text."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import debs

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typing_extensions import Self

_SECONDS = 60


@dataclass(frozen=True)
class Terminal:
    """A terminal of a tmux server of its own."""

    socket: Path

    @classmethod
    def run(  # noqa: PLR0913  # all about a terminal
        cls,
        command: str,
        folder: Path,
        *,
        columns: int,
        lines: int = 24,
        environment: dict[str, str],
        socket: Path,
    ) -> Self:
        """Start a command; its exit status is printed when it has ended."""
        debs.install_missing()
        found = cls(socket)
        shell = f'trap : INT; cd {shlex.quote(str(folder))}; {command}; echo "status $?"; cat'
        size = ("-x", str(columns), "-y", str(lines))
        found._tmux("new-session", "-d", *size, "sh", "-c", shell, environment=environment)
        return found

    def screen(self) -> list[str]:
        """Return the lines on the screen, without those that are empty at its end."""
        return self._tmux("capture-pane", "-p").rstrip("\n").split("\n")

    def coloured(self) -> str:
        """Return the screen with the escape sequences of its colours."""
        return self._tmux("capture-pane", "-p", "-e")

    def wait(self, shows: Callable[[list[str]], bool]) -> list[str]:
        """Wait until the screen shows something, and return it."""
        end = time.monotonic() + _SECONDS
        while time.monotonic() < end:
            if shows(found := self.screen()):
                return found
            time.sleep(0.05)
        raise AssertionError("\n".join(self.screen()))

    def ended(self) -> list[str]:
        """Wait for the end of the command, and return the screen."""
        return self.wait(lambda found: found[-1].startswith("status "))

    def resize(self, columns: int, lines: int = 24) -> None:
        """Change the size."""
        self._tmux("resize-window", "-x", str(columns), "-y", str(lines))

    def type(self, *keys: str) -> None:
        """Press keys."""
        self._tmux("send-keys", *keys)

    @property
    def cursor(self) -> tuple[bool, int]:
        """Whether the cursor is visible, and its column."""
        shown, column = self._tmux("display-message", "-p", "#{cursor_flag} #{cursor_x}").split()
        return shown == "1", int(column)

    def close(self) -> None:
        """End the command."""
        self._tmux("kill-server")

    def _tmux(self, *words: str, environment: dict[str, str] | None = None) -> str:
        tmux = shutil.which("tmux")
        assert tmux is not None
        command = [tmux, "-u", "-f", os.devnull, "-S", str(self.socket), *words]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=True, timeout=_SECONDS
        )
        return done.stdout
