"""Containers of images that serve, and requests to them."""

from __future__ import annotations

import contextlib
import time
import urllib.request
from typing import TYPE_CHECKING

import pytest
from engines import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from engines import DockerEngine


@contextlib.contextmanager
def run_container(engine: DockerEngine, *words: str) -> Iterator[str]:
    """Run a container in the background, with its port published; yield its id."""
    done = engine.docker("run", "--detach", "--publish", "127.0.0.1::8000", *words)
    container = done.stdout.split()[-1]
    try:
        yield container
    finally:
        engine.docker("rm", "--force", "--volumes", container)


def wait_for_answer(engine: DockerEngine, container: str, ask: Callable[[], str | None]) -> str:
    """Repeat a question until there is an answer; a failure shows the container's log."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            if answer := ask():
                return answer
        time.sleep(0.2)
    logs = engine.docker("logs", container)
    pytest.fail(logs.stdout + logs.stderr)


def get(engine: DockerEngine, container: str, path: str = "/") -> str:
    """Send an HTTP request to the application."""
    port = engine.docker("port", container, "8000/tcp").stdout.split()[0].rpartition(":")[2]

    def ask() -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return str(answer.read().decode())

    return wait_for_answer(engine, container, ask)
