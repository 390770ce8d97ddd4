"""Draw what `poetry docker build` shows on a terminal after an upgrade: docs/terminal.svg.

It builds a copy of examples/web-api, upgrades one dependency, and records the second build.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios
from pathlib import Path
from typing import TYPE_CHECKING

import pyte
from demo import environment
from demo_project import DemoError, Project
from rich.console import Console
from rich.style import Style
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PICTURE = Path(__file__).resolve().parents[1] / "docs" / "terminal.svg"
COLUMNS, LINES = 100, 40
COMMAND = "poetry docker build"


def main() -> int:
    """Build twice and draw the second build."""
    with contextlib.ExitStack() as stack:
        env = stack.enter_context(environment(export_only=False))
        if isinstance(env, str):
            print(env, file=sys.stderr)
            return 1
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="picture-"))
        project = stack.enter_context(Project(Path(folder), env))
        project.lock()
        project.build("first build")
        project.bump_dependency()
        shown = record([*project.command, "docker", "build"], project.env, project.folder)
    PICTURE.write_text(svg(screen(shown)), encoding="utf-8")
    return 0


def record(command: Sequence[str], env: Mapping[str, str], folder: Path) -> bytes:
    """Run a command on a terminal and return all that it writes; raise DemoError if it fails."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    env = {**env, "TERM": "xterm-256color", "COLUMNS": str(COLUMNS), "LINES": str(LINES)}
    env.pop("NO_COLOR", None)
    words = [*command, "--", "--network=host"]
    with subprocess.Popen(words, env=env, cwd=folder, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        written = io.BytesIO()
        with contextlib.suppress(OSError):  # the terminal is closed
            while part := os.read(ours, 1 << 16):
                written.write(part)
    os.close(ours)
    if process.returncode:
        raise DemoError(written.getvalue().decode(errors="replace"))
    return written.getvalue()


def screen(written: bytes) -> Text:
    """Return the last screen, with its colours."""
    terminal = pyte.Screen(COLUMNS, LINES)
    pyte.ByteStream(terminal).feed(written)
    text = Text(f"$ {COMMAND}\n", style="bold")
    for number, line in enumerate(terminal.display):
        if not line.strip():
            continue
        for column in range(len(line.rstrip())):
            cell = terminal.buffer[number][column]
            text.append(cell.data, Style(color=_color(cell.fg), bold=cell.bold))
        text.append("\n")
    return text


def _color(name: str) -> str | None:
    """Return rich's name of a terminal's colour."""
    if re.fullmatch(r"[0-9a-f]{6}", name):
        return f"#{name}"
    return None if name == "default" else {"brown": "yellow"}.get(name, name)


def svg(text: Text) -> str:
    """Draw a window with this text."""
    console = Console(width=COLUMNS, record=True, file=io.StringIO(), force_terminal=True)
    console.print(text, end="")
    # A fixed id keeps the file the same if nothing has changed.
    picture = console.export_svg(title="web-api", unique_id="terminal")
    # A picture loads no font from another host.
    return re.sub(r"@font-face \{.*?\}\s*|<!--.*?-->\s*", "", picture, flags=re.DOTALL)


if __name__ == "__main__":
    sys.exit(main())
