"""Run docker on the engines of the benchmark, and time the builds that others run with it."""

from __future__ import annotations

import os
import shlex
import shutil
from typing import TYPE_CHECKING

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
