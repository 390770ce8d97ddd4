"""Install with uv."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import surroundings
from .process import Outcome, run

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

QUIET = ("--no-config", "--color=never")
LOCKED = ("--no-deps", "--require-hashes", "--only-binary=:all:")


def install(
    program: Path,
    python: Path,
    requirements: Path,
    environment: Mapping[str, str],
    *options: str,
) -> Outcome:
    """Install a file of requirements, all from the one index that the environment names."""
    command = [str(program), "pip", "install", *QUIET, *LOCKED, f"--python={python}"]
    command += [*options, f"--requirements={requirements}"]
    return run(command, surroundings.for_uv(environment))
