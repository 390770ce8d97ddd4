"""Run a program and show its output without the secrets in it."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class Outcome(NamedTuple):
    """How a tool ended, and what it said."""

    status: int
    output: str


def without_users(line: bytes) -> bytes:
    """Take user names and passwords out of URLs.

    The tools hide passwords only; where a token is the user name, that would be the secret.
    """
    return re.sub(rb"(?<=://)[^/\s@]+@", b"", line)


def run(command: list[str], environment: Mapping[str, str], folder: Path | None = None) -> Outcome:
    """Run a command; each line is shown as it comes."""
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
            shown = without_users(line)
            sys.stdout.buffer.write(shown)
            sys.stdout.buffer.flush()
            lines.append(shown.decode(errors="replace"))
    return Outcome(process.returncode, "".join(lines))
