"""Runs docker and the builds of the benchmark."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from processes import run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from engine import Engine


def docker(engine: Engine, *arguments: str) -> str:
    """Run docker on an engine."""
    return run(["docker", *arguments], env={**os.environ, **engine.env})


def logged(command: Sequence[str], folder: Path, env: Mapping[str, str]) -> tuple[int, str]:
    """Run a command; give its status and all that it said."""
    with subprocess.Popen(
        command,
        cwd=folder,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
    ) as process:
        try:
            output, _ = process.communicate()
        except BaseException:  # an interrupted build has to take its secret off the disk
            process.terminate()
            process.communicate()
            raise
    return process.returncode, output
