"""Run commands, and daemons that are ended by their recorded process id."""

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
"""The file with the range of ports for outgoing connections."""


class EngineError(Exception):
    """An error of a script, with a message for its user."""


def say(message: str) -> None:
    """Print a message on stderr, because stdout is for the environment."""
    print(f"engine: {message}", file=sys.stderr, flush=True)


def run(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    check: bool = True,
) -> str:
    """Run a command and return its stdout; if it fails, its output is in the error."""
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


def run_logged(command: Sequence[str], folder: Path, env: Mapping[str, str]) -> tuple[int, str]:
    """Run a command and return its status and output; on an interrupt, let it clean up."""
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
        except BaseException:  # an interrupted build must remove its secret from the disk
            process.terminate()
            process.communicate()
            raise
    return process.returncode, output


def wait_until(ready: Callable[[], bool], seconds: float, what: str) -> None:
    """Poll until ready; raise EngineError if that takes too long."""
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            raise EngineError(f"{what}: not ready after {seconds:g} s")
        time.sleep(0.05)


def free_port() -> int:
    """Return a free port on loopback that no outgoing connection can take.

    A connection could take a port that the system chooses before a server listens on it.
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
    """Return the start time of a process, which distinguishes it from one with a reused id."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] in "ZX" else fields[19]


@contextlib.contextmanager
def lock(state: Path, name: str = "lock") -> Iterator[None]:
    """Hold a lock between processes, because test workers start the same engine at once.

    Base images have a separate lock, because making them takes a minute.
    """
    state.mkdir(parents=True, exist_ok=True)
    with (state / name).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class Daemon:
    """A background process, recorded in a file so that a later run can end it."""

    def __init__(self, record: Path) -> None:
        self.record = record
        self.log = record.with_suffix(".log")

    def start(self, command: Sequence[str | Path], env: Mapping[str, str]) -> None:
        """Start the command in its own session; it continues after this process ends."""
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
        process.returncode = 0  # otherwise Popen warns that the process is still running
        data = {"pid": process.pid, "start": _start_time(process.pid)}
        self.record.write_text(json.dumps(data), encoding="utf-8")

    @property
    def pid(self) -> int | None:
        """The process id, or None if the process has ended."""
        try:
            data = json.loads(self.record.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        pid = int(data["pid"])
        with contextlib.suppress(ChildProcessError):  # reap it if it is a child that has ended
            os.waitpid(pid, os.WNOHANG)
        return pid if data["start"] and _start_time(pid) == data["start"] else None

    def wait(self, ready: Callable[[], bool], seconds: float = 180) -> None:
        """Wait until it is ready; if it ends instead, raise an error with the end of its log."""

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
        """End the process with SIGTERM, and after some seconds with SIGKILL; 0 means at once."""
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
    """Find processes with a path inside this folder in their command line."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            words = entry.joinpath("cmdline").read_bytes().split(b"\0")
            if any(word.startswith(os.fsencode(path) + b"/") for word in words):
                yield int(entry.name)


def end_shims(run_dir: Path) -> None:
    """End the shims of a killed engine; their arguments include its containerd's socket."""
    for pid in _processes_naming(run_dir):
        exe = Path(f"/proc/{pid}/exe")
        with contextlib.suppress(OSError):
            if exe.readlink().name.startswith("containerd-shim"):
                kill(pid)


def unmount_below(folder: Path) -> None:
    """Unmount everything below a folder, the deepest mounts first."""
    targets = []
    for line in Path("/proc/self/mounts").read_bytes().splitlines():
        # the kernel writes space, tab, newline and backslash as octal escapes
        name = re.sub(rb"\\([0-7]{3})", lambda code: bytes([int(code[1], 8)]), line.split(b" ")[1])
        target = Path(os.fsdecode(name))
        if target.is_relative_to(folder):
            targets.append(target)
    for target in sorted(targets, key=lambda path: len(path.parts), reverse=True):
        run(["umount", "--lazy", target], check=False)
