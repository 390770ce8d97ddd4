"""Processes that run `poetry` as a new one does, but with all modules imported.

A server imports them once and forks for each command: starting Python and Poetry takes longer than
a command.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import functools
import gc
import importlib
import json
import os
import pkgutil
import signal
import subprocess
import sys
import tempfile
import threading
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_PROGRAM = """\
#!{python} -IS
import json, os, sys
own, status = f"/proc/{{os.getpid()}}/fd", f"{{__file__}}-{{os.getpid()}}"
os.mkfifo(status)
request = {{"words": sys.argv[1:], "env": {{**os.environ}}, "at": os.getcwd(), "namespace": None}}
request |= {{name: f"{{own}}/{{at}}" for at, name in enumerate(("stdin", "stdout", "stderr"))}}
request["status"] = status
with open("/proc/{server}/fd/0", "w") as server:
    server.write(json.dumps(request) + "\\n")
with open(status) as answer:
    code = int(answer.read())
os.unlink(status)
sys.exit(code)
"""


class WarmPoetry:
    """The server, which ends with the process that started it."""

    def __init__(self, python: str | Path = sys.executable) -> None:
        own = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        self._process = subprocess.Popen(
            [python, __file__], stdin=subprocess.PIPE, env=own, text=True, start_new_session=True
        )
        self._lock = threading.Lock()

    def run(
        self,
        words: Sequence[str],
        *,
        env: Mapping[str, str],
        at: Path,
        namespace: int | None = None,
        stdout: str | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command, in the mount namespace of a process if given."""
        assert self._process.stdin
        with tempfile.TemporaryDirectory(prefix="warm-") as folder:
            out, err, status = (Path(folder, name) for name in ("out", "err", "status"))
            os.mkfifo(status)
            request = {"words": [*words], "env": {**env}, "at": str(at), "namespace": namespace}
            request |= {"stdout": stdout or str(out), "stderr": str(err), "status": str(status)}
            with self._lock:
                self._process.stdin.write(f"{json.dumps(request)}\n")
                self._process.stdin.flush()
            code = int(status.read_text())  # waits until the command has ended
            texts = [
                path.read_text(errors="replace") if path.exists() else "" for path in (out, err)
            ]
        return subprocess.CompletedProcess([*words], code, *texts)

    def write_program(self, path: Path) -> None:
        """Write a `poetry` for shells that runs its commands in this way."""
        path.write_text(_PROGRAM.format(python=sys.executable, server=self._process.pid))
        path.chmod(0o755)

    def stop(self) -> None:
        """End the server."""
        self._process.communicate()


@functools.cache
def warm_poetry(python: str | Path = sys.executable) -> WarmPoetry:
    """Start the server of a Python on first use."""
    return WarmPoetry(python)


def _serve() -> None:
    del sys.path[0]  # this folder is not part of the environment
    _import_all()
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGCHLD, _reap)
    for line in sys.stdin:
        if os.fork() == 0:
            _answer(json.loads(line))


def _reap(*_: object) -> None:
    """Leave no zombies."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _answer(request: dict[str, Any]) -> None:
    """Run a command in a process of its own, and report its status."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    pid = os.fork()
    if pid == 0:
        _become(request)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    Path(request["status"]).write_text(str(code))
    os._exit(0)


def _import_all() -> None:
    import poetry_docker_cache  # noqa: PLC0415  # only in the server

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in ("poetry.console.application", "poetry.factory", "poetry.utils.authenticator"):
            importlib.import_module(name)
        for module in pkgutil.walk_packages(poetry_docker_cache.__path__, "poetry_docker_cache."):
            if ".inside." not in module.name:
                importlib.import_module(module.name)


def _become(request: dict[str, Any]) -> NoReturn:
    """Turn the forked process into one that runs the command."""
    places = (request.get("stdin", os.devnull), request["stdout"], request["stderr"])
    for number, path in enumerate(places):
        flags = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT
        os.dup2(os.open(path, flags, 0o600), number)
    if request["namespace"] is not None:
        namespace = os.open(f"/proc/{request['namespace']}/ns/mnt", os.O_RDONLY)
        if ctypes.CDLL(None, use_errno=True).setns(namespace, 0):
            raise OSError(ctypes.get_errno(), "setns")
    os.environ.clear()
    os.environ.update(request["env"])
    tempfile.tempdir = None
    os.chdir(request["at"])
    sys.argv = ["poetry", *request["words"]]
    from poetry import locations  # noqa: PLC0415  # as above
    from poetry.config import config  # noqa: PLC0415  # as above
    from poetry.console.application import main  # noqa: PLC0415  # as above

    folder = Path(os.environ["POETRY_CONFIG_DIR"])  # Poetry reads it while it is imported
    locations.CONFIG_DIR = folder
    vars(config)["CONFIG_DIR"] = folder
    try:
        status = main()
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    # Like Python's own exit, but without a garbage collection, which copies the server's memory.
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        status = 120
    os._exit(status or 0)


if __name__ == "__main__":
    _serve()
