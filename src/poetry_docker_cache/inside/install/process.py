"""Run a program and show its output without secrets."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import traceback
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path
    from typing import NoReturn

# A repository's configuration may name programs to run, and a folder of a package may be one.
SAFE_GIT = {
    "core.fsmonitor": "false",
    "core.hooksPath": os.devnull,
    "safe.bareRepository": "explicit",
}


class Outcome(NamedTuple):
    """The exit status and the output of a program."""

    status: int
    output: str


def image_python() -> str:
    """Return the Python that has the image's pip: Poetry's own environment has none."""
    if importlib.util.find_spec("pip"):
        return sys.executable
    return str(getattr(sys, "_base_executable", sys.executable))


def hide_users(line: bytes) -> bytes:
    """Remove user names and passwords from URLs.

    pip and Poetry only hide passwords, but the user name may be a token.
    """
    return re.sub(rb"(?<=://)[^/\s@]+@", b"", line)


def with_safe_git(environment: Mapping[str, str]) -> dict[str, str]:
    """Add the configuration for all calls of git, after that in the environment."""
    first = int(environment.get("GIT_CONFIG_COUNT") or 0)
    result = {**environment, "GIT_CONFIG_COUNT": str(first + len(SAFE_GIT))}
    for number, (key, value) in enumerate(SAFE_GIT.items(), start=first):
        result.update({f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value})
    return result


def with_programs(environment: Mapping[str, str], programs: Path) -> dict[str, str]:
    """Put a folder first on the PATH: maturin and other build backends call themselves."""
    path = os.pathsep.join([str(programs), environment.get("PATH", os.defpath)])
    return {**environment, "PATH": path}


def run(command: list[str], environment: Mapping[str, str], folder: Path | None = None) -> Outcome:
    """Run a command, and show each line of its output at once."""
    with subprocess.Popen(
        command,
        cwd=folder,
        env=with_safe_git(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        output = show(process.stdout or ())
    return Outcome(process.returncode, output)


def show(output: Iterable[bytes]) -> str:
    """Show each line of a program's output at once, and return the output."""
    lines = []
    for line in output:
        shown = hide_users(line)
        sys.stdout.buffer.write(shown)
        sys.stdout.buffer.flush()
        lines.append(shown.decode(errors="replace"))
    return "".join(lines)


def fork(work: Callable[[], object]) -> Outcome:
    """Run a function in a copy of this process, as `run` runs a program.

    It saves the start of another Python and its imports.
    """
    reading, writing = os.pipe()
    sys.stdout.flush()
    if not (child := os.fork()):
        _become(work, writing)
    os.close(writing)
    with open(reading, "rb") as output:  # noqa: PTH123  # a descriptor
        text = show(output)
    return Outcome(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), text)


def _become(work: Callable[[], object], output: int) -> NoReturn:
    """Run the function with this output, and end the process as Python does."""
    status = 1
    try:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.environ.update(with_safe_git(os.environ))
        work()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
        if status and not isinstance(end.code, int):
            print(end.code, file=sys.stderr)
    except BaseException:  # noqa: BLE001  # the process ends here
        traceback.print_exc()
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:  # even if the function has closed them: the caller's code is the other process's
            os._exit(status)
