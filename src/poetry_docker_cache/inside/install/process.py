"""Run a program and show its output without secrets."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class Outcome(NamedTuple):
    """The exit status and the output of a program."""

    status: int
    output: str


def image_python() -> str:
    """Return the Python that has the image's pip: Poetry's own environment has none."""
    if importlib.util.find_spec("pip"):
        return sys.executable
    return str(getattr(sys, "_base_executable", sys.executable))


def hide_users(line: bytes) -> bytes:
    """Remove user names and passwords from URLs.

    pip and Poetry only hide passwords, but the user name may be a token.
    """
    return re.sub(rb"(?<=://)[^/\s@]+@", b"", line)


def run(command: list[str], environment: Mapping[str, str], folder: Path | None = None) -> Outcome:
    """Run a command, and show each line of its output at once."""
    lines = []
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        for line in process.stdout or ():
            shown = hide_users(line)
            sys.stdout.buffer.write(shown)
            sys.stdout.buffer.flush()
            lines.append(shown.decode(errors="replace"))
    return Outcome(process.returncode, "".join(lines))
