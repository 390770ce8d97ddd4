"""Finds and queries the container engine, and runs BuildKit."""

from __future__ import annotations

import contextlib
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Protocol

from poetry_docker_cache.buildx import engine_errors
from poetry_docker_cache.buildx.engine_info import (
    Answer,
    EngineInfo,
    judge,
    parse_builder,
    parse_info,
)
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.system.signals import Signals, exit_status, handled, send
from poetry_docker_cache.text import harmless

if sys.platform != "win32":
    import pwd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    Ask = Callable[[Sequence[Sequence[str]]], list[Answer]]
    Asking = Callable[
        [Sequence[Sequence[str]]], contextlib.AbstractContextManager[Callable[[], list[Answer]]]
    ]

__all__ = ["Answer", "EngineInfo", "ask", "asking", "find", "probing", "run"]

_ANSWER_SECONDS = 60
NO_OUTPUT = subprocess.DEVNULL
"""The `output` of a command whose stdout is not needed."""
_TICK = 0.1
"""How often a display is drawn again."""
_LAST = 1.0
"""How long the last output of a command may take to be read after its end."""
_CHUNK = 65536


class Watch(Protocol):
    """Shows what a command prints to stderr, while it runs."""

    def read(self, line: str) -> None:
        """Take a line."""

    def ask(self, text: str) -> None:
        """Take the start of a line, which is a question."""

    def tick(self) -> None:
        """Take note that some time has passed."""


def find() -> str:
    """Return the path of the `docker` client. Raises DockerCacheError if it is not installed."""
    docker = shutil.which("docker")
    if docker is None:
        raise DockerCacheError(
            "`docker` not found on the PATH.",
            fix="Install Docker Engine or Docker Desktop (client and buildx are enough for a "
            "remote engine).\n`poetry docker export` works without Docker.",
        )
    return docker


def ask(commands: Sequence[Sequence[str]], *, seconds: float | None = None) -> list[Answer]:
    """Run commands in parallel and return what they print; see `asking`."""
    with asking(commands, seconds=seconds) as answers:
        return answers()


@contextlib.contextmanager
def asking(
    commands: Sequence[Sequence[str]], *, seconds: float | None = None
) -> Iterator[Callable[[], list[Answer]]]:
    """Start commands in parallel; yield a function that waits for them and returns their output.

    They cannot read the terminal, and end with the block at the latest. Raises DockerCacheError if
    a command cannot be run, or takes longer than `seconds` (default: a minute) when waited for.
    """
    limit = _ANSWER_SECONDS if seconds is None else seconds
    running: list[subprocess.Popen[str]] = []
    try:
        running.extend(map(_started, commands))
        yield lambda: [_answer(process, limit) for process in running]
    finally:
        for process in running:
            if process.poll() is None:
                # Including its children: a plugin that keeps running would keep the pipes open.
                send(process, getattr(signal, "SIGKILL", signal.SIGTERM))
            with process:  # closes the pipes
                pass


def _started(command: Sequence[str]) -> subprocess.Popen[str]:
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
        )
    except OSError as error:
        raise DockerCacheError(
            f"{command[0]} cannot be run: {error.strerror}.",
            fix="Reinstall Docker's client, then check with: docker version",
        ) from error


def _answer(process: subprocess.Popen[str], limit: float) -> Answer:
    try:
        out, err = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired as error:
        raise engine_errors.unreachable(f"no answer within {limit:g} seconds") from error
    return Answer(status=process.returncode, out=out, err=err)


def _refuse_without_home() -> None:
    """Raise DockerCacheError if docker would put its settings into the working directory."""
    if os.environ.get("HOME") or os.environ.get("DOCKER_CONFIG") or sys.platform == "win32":
        return
    with contextlib.suppress(KeyError):  # a user id without an account, as in a container
        if pwd.getpwuid(os.getuid()).pw_dir:
            return
    raise engine_errors.no_home()


@contextlib.contextmanager
def probing(
    builder: str | None = None, *, docker: str | None = None, asking: Asking = asking
) -> Iterator[Callable[[], EngineInfo]]:
    """Query a builder (default: the current one) and its engine in parallel.

    Yields a function that waits for the answers, so that other work is done meanwhile. It raises
    DockerCacheError if nothing can be built on this engine.
    """
    client = docker or find()
    with querying(builder, docker=client, asking=asking) as answers:

        def found() -> EngineInfo:
            info, inspect = answers()
            return judge(docker=client, info=info, inspect=inspect, wanted=wanted_builder(builder))

        yield found


def wanted_builder(builder: str | None = None) -> str:
    """Return the builder that the user named; empty for the current one."""
    return builder or os.environ.get("BUILDX_BUILDER", "")


@contextlib.contextmanager
def querying(
    builder: str | None = None, *, docker: str, asking: Asking = asking
) -> Iterator[Callable[[], tuple[Answer, Answer]]]:
    """Query as `probing`, and yield a function that returns the answers unjudged.

    They are those of `docker info`, for the engine that the builder belongs to, and of `docker
    buildx inspect`.
    """
    client = docker
    _refuse_without_home()
    name = [builder] if builder else []
    question = ["info", "--format", "{{json .}}"]

    def found() -> tuple[Answer, Answer]:
        info, inspect = answers()
        chosen = parse_builder(inspect.out)
        is_engine = chosen.driver == "docker" and chosen.nodes
        endpoint = chosen.nodes[0].endpoint if is_engine else ""
        context = (parse_info(info).get("ClientInfo") or {}).get("Context", "")
        if endpoint and context and endpoint != context:
            # The builder belongs to another Docker context, whose engine builds and stores images.
            with asking([[client, "--context", endpoint, *question]]) as others:
                (info,) = others()
        return info, inspect

    with asking([[client, *question], [client, "buildx", "inspect", *name]]) as answers:
        yield found


def run(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    output: int | None = None,
    watch: Watch | None = None,
) -> int:
    """Run a command on this terminal and return its exit status; signals are forwarded to it.

    `output` is the descriptor for its stdout, instead of ours, and `watch` takes its stderr. After
    a signal the status is 128 + n, whatever the command's own is. Raises DockerCacheError if it
    cannot be started.
    """
    signals = Signals()
    with handled(signals.receive):
        if signals.received:
            return exit_status(signals.received)
        errors = None if watch is None else subprocess.PIPE
        try:
            process = subprocess.Popen(argv, env=env, stdout=output, stderr=errors)
        except OSError as error:
            raise DockerCacheError(
                f"{argv[0]} cannot be run: {error.strerror}.",
                fix="Check with: docker buildx version",
            ) from error
        with signals.forwarded(process):
            try:
                if watch is not None:
                    _show(process, watch)
            finally:  # meanwhile, a thread reads what the command prints
                status = process.wait()
    if signals.received:
        return exit_status(signals.received)
    return exit_status(-status) if status < 0 else status


def _show(process: subprocess.Popen[bytes], watch: Watch) -> None:
    """Pass the stderr of a command on, line by line, until it is closed.

    What the command has started may keep it open: after the command's end, only what is already
    written counts.
    """
    chunks: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_read, args=[process, chunks], daemon=True).start()
    rest = b""
    while True:
        has_ended = process.poll() is not None
        try:
            chunk = chunks.get(timeout=_LAST if has_ended else _TICK)
        except queue.Empty:
            if has_ended:
                break
            if rest and not rest.startswith(b"{"):  # such as bake's question about permissions
                watch.ask(_text(rest))
                rest = b""
            watch.tick()
            continue
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            watch.read(_text(line))
        if not chunk:
            break
        watch.tick()
    if rest:
        watch.read(_text(rest))


def _read(process: subprocess.Popen[bytes], chunks: queue.SimpleQueue[bytes]) -> None:
    """Read the stderr of a command; an empty chunk is its end."""
    assert process.stderr is not None  # noqa: S101  # a pipe
    with process.stderr as pipe:
        while chunk := os.read(pipe.fileno(), _CHUNK):
            chunks.put(chunk)
    chunks.put(b"")


def _text(line: bytes) -> str:
    return harmless(line.decode(errors="replace").rstrip("\r"))
