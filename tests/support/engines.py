"""The container engines of the tests: what runs docker on them, and how they come and go."""

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
"""The base images that the engine's registry has."""
STATE = default_state()
"""Found before a test's home is a temporary folder."""
PATIENCE = 120.0
"""How long a test waits, in seconds: far more than anything takes, on a busy machine too."""


@dataclass(frozen=True, kw_only=True)
class DockerEngine:
    """An engine that answers."""

    env: dict[str, str] = field(repr=False)
    """The whole environment of a process that is to use it."""
    registry: str | None
    """Host and port of a registry that takes pushes without a password."""

    def docker(
        self, *arguments: str, check: bool = True, text: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run docker; `text` is its input. A failure shows what docker said, unless unchecked."""
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
        """Run a container to its end and give what it printed on stdout."""
        return self.docker("run", "--rm", *options, image, *command).stdout

    def forget(self) -> None:
        """Remove all that was built. What a build has just let go of may stay for a moment."""
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
    """Give an engine that lives as long as the block.

    Unless it has to be one of our own (always, if it is of a certain kind), the engine that
    DOCKER_HOST names is used as it is: somebody chose it. Without root a private engine cannot be;
    then the machine's own serves, if there is one.
    """
    own = own or old or store is not None
    if not own and ("DOCKER_HOST" in os.environ or os.geteuid() != 0) and usable_engine():
        yield DockerEngine(env={**os.environ}, registry=os.environ.get("ENGINE_REGISTRY"))
        return
    # Of this process: another test run on the machine must not lose its engine when we end.
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
    """End the engines of test runs that were killed."""
    for folder in (STATE / "engines").glob("test*-*"):
        name, _, pid = folder.name.rpartition("-")
        if pid.isdecimal() and name.startswith("test") and not Path(f"/proc/{pid}").exists():
            with contextlib.suppress(EngineError):
                Engine(folder.name, STATE).down()


def unavailable(reason: str) -> NoReturn:
    """Skip; fail where an engine is promised, so that CI cannot pass by skipping."""
    if os.environ.get("REQUIRE_ENGINE") == "1" or os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
