"""The sandbox with a real engine: a project whose only package is on an index of the test."""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine import Engine
from engines import PATIENCE, STATE, DockerEngine
from fault_sandbox import ACME, BUILD, Sandbox
from faulty_index import USER, FaultyIndex
from processes import kill
from projects import digest, make_project, package

if TYPE_CHECKING:
    from collections.abc import Callable

    from command_line import Outcome
    from processes import Daemon

PYPROJECT = """\
[project]
name = "shop"
version = "1.0"
requires-python = ">=3.10"
dependencies = ["alpha"]
[tool.poetry]
package-mode = false
[[tool.poetry.source]]
name = "acme"
url = "{url}"
priority = "explicit"
[tool.poetry-docker-cache]
python = "3.13"
files = ["shop"]
command = ["python", "-c", "import alpha"]
"""
NETWORK = ("--progress=plain", "--", "--network=host")


def until(happens: Callable[[], object]) -> None:
    """Wait until a condition is true."""
    end = time.monotonic() + PATIENCE
    while not happens():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


@dataclass(frozen=True, kw_only=True)
class RealSandbox:
    """A project, the engine, and the index of its package."""

    sandbox: Sandbox
    engine: DockerEngine
    index: FaultyIndex

    def write(self) -> None:
        """Write the project, with layers that no other test has built."""
        (wheel,) = self.index.packages.glob("alpha-*")
        entry = package("alpha", files=[wheel.name], source={**ACME, "url": self.index.url})
        entry["files"][0]["hash"] = f"sha256:{hash_of(wheel)}"
        mark = digest(str(self.sandbox.folder))[:8]
        lines = f'instructions = {{ build = ["ENV FAULTS={mark}"] }}\n'
        make_project(self.sandbox.project, PYPROJECT.format(url=self.index.url) + lines, [entry])

    @property
    def environment(self) -> dict[str, str]:
        """The whole environment of the command."""
        names = ("DOCKER_HOST", "DOCKER_CONFIG")
        own = {name: self.engine.env[name] for name in names}
        path = f"{self.engine.env['PATH']}"
        person = {"POETRY_HTTP_BASIC_ACME_USERNAME": USER}
        return {**self.sandbox.environment, **own, **person, "PATH": path}

    def build(self, *options: str) -> Outcome:
        """Build to the end."""
        return self.sandbox.run(*BUILD, *options, *NETWORK, env=self.environment)

    def start(self, *options: str) -> subprocess.Popen[str]:
        """Start a build; its output goes to a file."""
        with self.log.open("w") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "poetry", *BUILD, *options, *NETWORK],
                env=self.environment,
                cwd=self.sandbox.project,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                text=True,
                start_new_session=True,
            )

    @property
    def log(self) -> Path:
        """The output of the started build."""
        return self.sandbox.folder / "log"

    def forget(self) -> None:
        """Remove all layers and images from the engine."""
        self.engine.docker("image", "prune", "--all", "--force")
        self.engine.forget()

    def works(self, *options: str) -> None:
        """Check that the next build works."""
        outcome = self.build(*options)
        assert outcome.status == 0, outcome.err


def hash_of(path: Path) -> str:
    """Return the SHA-256 hash of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


class Stopped:
    """A daemon of the engine while it does not run; it starts again as it was."""

    def __init__(self, daemon: Daemon) -> None:
        place = Path(f"/proc/{daemon.pid}")
        pairs = (pair.partition("=") for pair in (place / "environ").read_text().split("\0"))
        self._daemon = daemon
        self._argv = (place / "cmdline").read_text().split("\0")[:-1]
        self._env = {name: value for name, _, value in pairs if name}
        pid = daemon.pid
        assert pid
        kill(pid)
        until(lambda: daemon.pid is None)
        with contextlib.suppress(ChildProcessError):  # dockerd would wait for a zombie
            os.waitpid(pid, 0)

    def start(self, ready: Callable[[], bool]) -> None:
        """Start it, and wait until it is ready."""
        self._daemon.start(self._argv, self._env)
        self._daemon.wait(ready)


def engine_of(engine: DockerEngine) -> Engine:
    """Return the private engine of this process."""
    name = Path(engine.env["DOCKER_HOST"].removeprefix("unix://")).parent.name
    return Engine(name, STATE)
