"""Processes that run `poetry` as a new one does, but with all modules imported.

A server imports them once and forks for each command: starting Python and Poetry takes longer than
a command.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
import json
import os
import pkgutil
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class WarmPoetry:
    """The server, which ends with the process that started it."""

    def __init__(self) -> None:
        command = [sys.executable, __file__]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

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
        assert self._process.stdout
        with tempfile.TemporaryDirectory(prefix="warm-") as folder:
            out, err = Path(folder, "out"), Path(folder, "err")
            request = {"words": [*words], "env": {**env}, "at": str(at), "namespace": namespace}
            files = {"stdout": stdout or str(out), "stderr": str(err)}
            self._process.stdin.write(f"{json.dumps({**request, **files})}\n")
            self._process.stdin.flush()
            status = int(self._process.stdout.readline())
            texts = [
                path.read_text(errors="replace") if path.exists() else "" for path in (out, err)
            ]
        return subprocess.CompletedProcess([*words], status, *texts)

    def stop(self) -> None:
        """End the server."""
        self._process.communicate()


@functools.cache
def warm_poetry() -> WarmPoetry:
    """Start the server on first use."""
    return WarmPoetry()


def _serve() -> None:
    _import_all()
    sys.stdout.flush()
    for line in sys.stdin:
        request = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _become(request)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        sys.stdout.write(f"{status}\n")
        sys.stdout.flush()


def _import_all() -> None:
    import poetry_docker_cache  # noqa: PLC0415  # only in the server

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in ("poetry.console.application", "poetry.factory", "poetry.utils.authenticator"):
            importlib.import_module(name)
        for module in pkgutil.walk_packages(poetry_docker_cache.__path__, "poetry_docker_cache."):
            if ".inside." not in module.name:
                importlib.import_module(module.name)


def _become(request: dict[str, Any]) -> None:
    """Turn the forked process into one that runs the command."""
    for number, path in ((0, os.devnull), (1, request["stdout"]), (2, request["stderr"])):
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
    try:
        sys.stdout.flush()
    except OSError:
        status = 120  # as Python's own exit
    os._exit(status or 0)


if __name__ == "__main__":
    _serve()
