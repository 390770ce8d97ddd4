"""Run docker on the engines of the benchmark, and time the builds and the engines."""

from __future__ import annotations

import os
import shlex
import shutil
from typing import TYPE_CHECKING

from dockerd import CGROUPS
from processes import EngineError, run

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from engine import Engine

_CLOCK = """\
#!/bin/sh
case "$1 $2" in
"buildx build" | "buildx bake") ;;
*) exec {docker} "$@" ;;
esac
started=$(date +%s%N)
{docker} "$@"
status=$?
echo $(($(date +%s%N) - started)) >> {log}
exit $status
"""


def docker(engine: Engine, *arguments: str) -> str:
    """Run docker on an engine."""
    return run(["docker", *arguments], env={**os.environ, **engine.env})


class Clock:
    """A `docker` that runs the real one and times its builds, whatever their output is."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self._log = folder / "nanoseconds"

    def watching(self, environment: Mapping[str, str]) -> dict[str, str]:
        """Return the environment for a command whose builds are to be timed."""
        real = shutil.which("docker", path=environment["PATH"])
        if real is None:
            raise EngineError("docker not found on the PATH of the benchmark's engines.")
        script = self._folder / "docker"
        if not script.exists():  # a new file would be a new client for the plugin
            words = {"docker": shlex.quote(real), "log": shlex.quote(str(self._log))}
            script.write_text(_CLOCK.format(**words), encoding="utf-8")
            script.chmod(0o755)
        self._log.unlink(missing_ok=True)
        return {**environment, "PATH": f"{self._folder}{os.pathsep}{environment['PATH']}"}

    def seconds(self) -> float:
        """Return the time of the builds since the last call of `watching`."""
        return sum(map(int, self._log.read_text(encoding="utf-8").split())) / 1e9


class EngineCpu:
    """The CPU time of an engine: its daemons, and everything that they start.

    The engine has a control group for its containers. The daemons move into it, so the kernel
    counts each second once.
    """

    def __init__(self, engine: Engine) -> None:
        version_1 = CGROUPS / "cpuacct"
        self._is_version_1 = version_1.is_dir()
        self._group = (version_1 if self._is_version_1 else CGROUPS) / engine.daemons.cgroup
        daemons = self._group / "daemons"
        daemons.mkdir(parents=True, exist_ok=True)
        for daemon in (engine.daemons.containerd, engine.daemons.dockerd):
            (daemons / "cgroup.procs").write_text(str(daemon.pid), encoding="ascii")

    def seconds(self) -> float:
        """Return the seconds so far."""
        if self._is_version_1:
            return int((self._group / "cpuacct.usage").read_text(encoding="ascii")) / 1e9
        words = (self._group / "cpu.stat").read_text(encoding="ascii").split()
        return int(words[words.index("usage_usec") + 1]) / 1e6
