"""Commands, and daemons that are ended by their recorded process id, never by name."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
CONNECTIONS = Path("/proc/sys/net/ipv4/ip_local_port_range")
"""The ports from which connections get theirs."""


class EngineError(Exception):
    """Something that stops the engine from being set up, with the reason for a person to read."""


def say(message: str) -> None:
    """Tell the person what goes on; stdout is kept for the environment."""
    print(f"engine: {message}", file=sys.stderr, flush=True)


def run(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    check: bool = True,
) -> str:
    """Run a command quietly and return its stdout; on failure its output is in the error."""
    done = subprocess.run(
        [str(part) for part in command],
        env=None if env is None else dict(env),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if check and done.returncode:
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-30:])
        raise EngineError(f"{' '.join(map(str, command))}\nfailed ({done.returncode}):\n{tail}")
    return done.stdout


def logged(command: Sequence[str], folder: Path, env: Mapping[str, str]) -> tuple[int, str]:
    """Run a command; give its status and all that it said. It may tidy up if we are ended."""
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


def wait_until(ready: Callable[[], bool], seconds: float, what: str) -> None:
    """Poll until ready; EngineError when that takes too long."""
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            raise EngineError(f"{what}: not ready after {seconds:g} s")
        time.sleep(0.05)


def free_port() -> int:
    """Choose a free port of loopback that no connection takes meanwhile.

    A connection may take a port that the system chooses before a server listens on it.
    """
    try:
        low, high = map(int, CONNECTIONS.read_text(encoding="ascii").split())
    except (OSError, ValueError):
        low, high = 32_768, 60_999
    ports = [*range(10_000, low), *range(high + 1, 65_536)] or range(10_000, 65_536)
    for _ in range(1000):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", secrets.choice(ports)))
            return int(probe.getsockname()[1])
    raise EngineError("no port is free on 127.0.0.1")


def _start_time(pid: int) -> str:
    """Return the kernel's start time of a process: a reused pid is never taken for ours."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] in "ZX" else fields[19]


@contextlib.contextmanager
def lock(state: Path, name: str = "lock") -> Iterator[None]:
    """Let one process at a time into the block: test workers ask for the same engine at once.

    Engines come and go under one lock, and base images are made under another: that takes a minute.
    """
    state.mkdir(parents=True, exist_ok=True)
    with (state / name).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class Daemon:
    """A background process, recorded in a file, so that a later run can end exactly that one."""

    def __init__(self, record: Path) -> None:
        self.record = record
        self.log = record.with_suffix(".log")

    def start(self, command: Sequence[str | Path], env: Mapping[str, str]) -> None:
        """Start the command in a session of its own; it outlives this process."""
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [str(part) for part in command],
                env=dict(env),
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        process.returncode = 0  # or Popen warns, when it is collected, that the process lives on
        data = {"pid": process.pid, "start": _start_time(process.pid)}
        self.record.write_text(json.dumps(data), encoding="utf-8")

    @property
    def pid(self) -> int | None:
        """The process id, while that very process is alive."""
        try:
            data = json.loads(self.record.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        pid = int(data["pid"])
        with contextlib.suppress(ChildProcessError):  # reap it, if it is a child that has ended
            os.waitpid(pid, os.WNOHANG)
        return pid if data["start"] and _start_time(pid) == data["start"] else None

    def wait(self, ready: Callable[[], bool], seconds: float = 180) -> None:
        """Wait until it serves; when it ends instead, show the end of its log."""

        def ready_or_dead() -> bool:
            if self.pid is None:
                raise EngineError(f"{self.record.stem} ended:\n{self.log_tail()}")
            return ready()

        wait_until(ready_or_dead, seconds, f"{self.record.stem} (log: {self.log})")

    def log_tail(self) -> str:
        """Return the last lines of its log."""
        text = self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-15:])

    def stop(self, seconds: float = 10) -> None:
        """End it: ask, when it gets some seconds for that, then kill."""
        if (pid := self.pid) is not None and seconds:
            kill(pid, signal.SIGTERM)
            with contextlib.suppress(EngineError):
                wait_until(lambda: self.pid is None, seconds, self.record.stem)
        if (pid := self.pid) is not None:
            kill(pid)
            wait_until(lambda: self.pid is None, 60, self.record.stem)
        self.record.unlink(missing_ok=True)


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    """Send a signal to a process that may already be gone."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _processes_naming(path: Path) -> Iterator[int]:
    """Find processes with a path of ours in their command line."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            words = entry.joinpath("cmdline").read_bytes().split(b"\0")
            if any(word.startswith(os.fsencode(path) + b"/") for word in words):
                yield int(entry.name)


def end_shims(run_dir: Path) -> None:
    """End the shims that a killed engine left; they name its containerd's socket as an argument."""
    for pid in _processes_naming(run_dir):
        exe = Path(f"/proc/{pid}/exe")
        with contextlib.suppress(OSError):
            if exe.readlink().name.startswith("containerd-shim"):
                kill(pid)


def unmount_below(folder: Path) -> None:
    """Unmount whatever is mounted below a folder, the deepest first."""
    targets = []
    for line in Path("/proc/self/mounts").read_bytes().splitlines():
        # the kernel writes space, tab, newline and backslash as octal escapes
        name = re.sub(rb"\\([0-7]{3})", lambda code: bytes([int(code[1], 8)]), line.split(b" ")[1])
        target = Path(os.fsdecode(name))
        if target.is_relative_to(folder):
            targets.append(target)
    for target in sorted(targets, key=lambda path: len(path.parts), reverse=True):
        run(["umount", "--lazy", target], check=False)
