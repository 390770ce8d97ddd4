"""A fake docker that records its commands, for the runner of steps."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from poetry_docker_cache.buildx.engine_info import Answer
from poetry_docker_cache.buildx.step_runner import StepRunner

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from poetry_docker_cache.buildx.engine import Watch
    from poetry_docker_cache.buildx.step_runner import Display


class FakeDocker:
    """A fake that fails commands whose first word after `docker` is in `failing`."""

    def __init__(
        self, *failing: str, output: str = "", error: str = "", progress: str = ""
    ) -> None:
        self.asked: list[list[str]] = []
        self.environments: list[Mapping[str, str]] = []
        self.written: dict[str, str] = {}
        self.notes: list[str] = []
        self.failing = failing
        self.output = output
        self.error = error
        self.progress = progress

    @property
    def verbs(self) -> list[str]:
        """Return the first word of each command."""
        return [argv[1] for argv in self.asked]

    def run(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        output: int | None = None,
        watch: Watch | None = None,
    ) -> int:
        """Record a command for the terminal; all but the build itself must write to stderr."""
        assert (output == 2) == (argv[1] != "buildx")
        self.asked.append([*argv])
        if env is not None:
            self.environments.append(env)
        if watch is not None:
            for line in self.progress.splitlines():
                watch.read(line)
        if argv[1] == "save":
            Path(argv[3]).write_text("image")
        return int(argv[1] in self.failing)

    def ask(
        self, commands: Sequence[Sequence[str]], *, seconds: float | None = None
    ) -> list[Answer]:
        """Record commands, and return their output."""
        assert seconds
        self.asked += [[*argv] for argv in commands]
        return [
            Answer(status=1, out="", err=self.error)
            if argv[1] in self.failing
            else Answer(status=0, out=self.output, err="")
            for argv in commands
        ]

    def runner(self, display: Display | None = None) -> StepRunner:
        """Return a step runner that uses the fake."""
        return StepRunner(
            note=self.notes.append,
            write=self.written.__setitem__,
            display=None if display is None else lambda: display,
            run=self.run,
            ask=self.ask,
        )
