"""Run a program and show its output without secrets."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# A repository's configuration may name programs to run, and a folder of a package may be one.
SAFE_GIT = {
    "core.fsmonitor": "false",
    "core.hooksPath": os.devnull,
    "safe.bareRepository": "explicit",
}


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


def with_safe_git(environment: Mapping[str, str]) -> dict[str, str]:
    """Add the configuration for all calls of git, after that in the environment."""
    first = int(environment.get("GIT_CONFIG_COUNT") or 0)
    result = {**environment, "GIT_CONFIG_COUNT": str(first + len(SAFE_GIT))}
    for number, (key, value) in enumerate(SAFE_GIT.items(), start=first):
        result.update({f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value})
    return result


def run(command: list[str], environment: Mapping[str, str], folder: Path | None = None) -> Outcome:
    """Run a command, and show each line of its output at once."""
    lines = []
    with subprocess.Popen(
        command,
        cwd=folder,
        env=with_safe_git(environment),
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
