"""Run docker on the engines of the benchmark."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from processes import run

if TYPE_CHECKING:
    from engine import Engine


def docker(engine: Engine, *arguments: str) -> str:
    """Run docker on an engine."""
    return run(["docker", *arguments], env={**os.environ, **engine.env})
