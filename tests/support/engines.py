"""Start, use and stop the container engines of the tests."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest
from engine import Engine, default_state, usable_engine
from processes import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator

IMAGES = ("3.13-slim", "3.13")
"""Base images in the engine's registry."""
STATE = default_state()
"""Determined at import, before a test replaces the home folder."""
PATIENCE = 120.0
"""How long a test waits, in seconds: far longer than anything takes, even on a busy machine."""


@dataclass(frozen=True, kw_only=True)
class DockerEngine:
    """A running engine."""

    env: dict[str, str] = field(repr=False)
    """The whole environment for a process that uses the engine."""
    registry: str | None
    """Host and port of a registry that accepts pushes without a password."""

    def docker(
        self, *arguments: str, check: bool = True, text: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run docker with `text` as its input; if `check`, a failure shows docker's output."""
        done = subprocess.run(
            ["docker", *arguments],
            env=self.env,
            input=text,
            stdin=subprocess.DEVNULL if text is None else None,
            capture_output=True,
            text=True,
            check=False,
        )
        assert not check or done.returncode == 0, f"docker {arguments}: {done.stdout}{done.stderr}"
        return done

    def run(self, image: str, *command: str, options: tuple[str, ...] = ()) -> str:
        """Run a container to its end and return its stdout."""
        return self.docker("run", "--rm", *options, image, *command).stdout

    def forget(self) -> None:
        """Remove all that was built. What a build has just released may remain for a moment."""
        end = time.monotonic() + PATIENCE
        while True:
            self.docker("buildx", "prune", "--all", "--force")
            if self.docker("buildx", "du").stdout.split()[-1] == "0B":
                return
            assert time.monotonic() < end, self.docker("buildx", "du", "--verbose").stdout
            time.sleep(0.5)


@contextlib.contextmanager
def docker_engine(
    name: str, *, own: bool = False, store: str | None = None, old: bool = False
) -> Iterator[DockerEngine]:
    """Provide an engine that lives as long as the block.

    Use the engine that DOCKER_HOST names, unless the caller requires a private one, as every old
    engine or given image store does. A private engine needs root; without root, use the machine's
    own engine if there is one.
    """
    own = own or old or store is not None
    if not own and ("DOCKER_HOST" in os.environ or os.geteuid() != 0) and usable_engine():
        yield DockerEngine(env={**os.environ}, registry=os.environ.get("ENGINE_REGISTRY"))
        return
    # The pid in the name keeps another test run on this machine from losing its engine when this
    # one ends.
    _end_orphans()
    try:
        engine = Engine.up(
            f"{name}-{os.getpid()}", store=store, old=old, images=IMAGES, state=STATE
        )
    except (EngineError, OSError) as error:
        unavailable(f"no container engine: {error}")
    with engine:
        env = {**os.environ, **engine.env}
        yield DockerEngine(env=env, registry=engine.env["ENGINE_REGISTRY"])


def _end_orphans() -> None:
    """Stop the engines of test runs that were killed."""
    for folder in (STATE / "engines").glob("test*-*"):
        name, _, pid = folder.name.rpartition("-")
        if pid.isdecimal() and name.startswith("test") and not Path(f"/proc/{pid}").exists():
            with contextlib.suppress(EngineError):
                Engine(folder.name, STATE).down()


def unavailable(reason: str) -> NoReturn:
    """Skip the test; fail if an engine is promised, so that CI cannot pass by skipping."""
    if os.environ.get("REQUIRE_ENGINE") == "1" or os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
