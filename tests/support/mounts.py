"""A mount namespace of a test: small, read-only or noexec folders that no other process sees."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from typing_extensions import Self


class Mounts:
    """The namespace. A process that waits for this one holds it, so that no mount can stay."""

    def __enter__(self) -> Self:
        """Create the namespace, or skip the test."""
        if os.geteuid() != 0 or not shutil.which("nsenter"):
            pytest.skip("only root can mount file systems")
        command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", "echo; exec cat"]
        self._holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._holder.stdout
        if not self._holder.stdout.readline():
            pytest.skip("this machine allows no mounts")
        return self

    def __exit__(self, *_: object) -> None:
        """End the namespace with all its mounts."""
        self._holder.communicate()

    @property
    def pid(self) -> int:
        """The process that holds the namespace."""
        return self._holder.pid

    def path(self, path: Path) -> Path:
        """Return where this process sees a path of the namespace."""
        return Path(f"/proc/{self._holder.pid}/root{path}")

    def wrap(self, command: Sequence[str], *, at: Path) -> list[str]:
        """Return the command line that runs a command in the namespace, in a folder."""
        enter = ["nsenter", f"--target={self._holder.pid}", "--mount"]
        return [*enter, "sh", "-c", 'cd -- "$1" && shift && exec "$@"', "sh", str(at), *command]

    def shell(self, script: str, *, at: Path, env: Mapping[str, str] | None = None) -> None:
        """Run a script of the shell in the namespace."""
        subprocess.run(self.wrap(["sh", "-ec", script], at=at), check=True, env=env)
