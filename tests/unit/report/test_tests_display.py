"""The output of the tests in a build."""

from __future__ import annotations

import base64
import json
from types import SimpleNamespace
from typing import Any, cast

from poetry_docker_cache.buildx.build_stream import BuildStream
from poetry_docker_cache.report.tests_display import DisplayWithTests, exit_status, step_of_tests

INSTALL = {"digest": "a", "name": "[pure-1 1/1] RUN pip", "started": "2026-01-01T00:00:00Z"}
TESTS = {"digest": "b", "name": "[run-tests 1/1] RUN pytest", "started": "2026-01-01T00:00:00Z"}


def log(digest: str, text: bytes) -> str:
    """Return a report of output."""
    return json.dumps({"logs": [{"vertex": digest, "data": base64.b64encode(text).decode()}]})


def vertex(**keys: object) -> str:
    """Return a report of a step."""
    return json.dumps({"vertexes": [keys]})


class Shown:
    """What a display has shown, in order."""

    def __init__(self) -> None:
        self.stream = BuildStream()
        self.all: list[str] = []
        build = SimpleNamespace(
            stream=self.stream,
            read=self.read,
            tick=lambda: self.all.append("tick"),
            close=lambda: self.all.append("closed"),
        )
        self.display = DisplayWithTests(
            build=cast("Any", build), stage="run-tests", write=self.all.append
        )

    def read(self, line: str) -> None:
        """Show that the progress of the build got a line."""
        self.stream.read(line)
        self.all.append("build")


def test_output_follows_the_progress_line_by_line() -> None:
    """The progress ends before; a character may be split between two reports."""
    shown = Shown()
    lines = [vertex(**INSTALL), log("a", b"installing\n"), vertex(**TESTS)]
    for line in (*lines, log("b", b"test_a \xe2\x9c"), log("b", b"\x93\n\x1b[31mtest_b"), ""):
        shown.display.read(line)
        shown.display.tick()
    shown.display.close()
    assert shown.all == ["build", "tick"] * 3 + ["build", "closed", "test_a ✓\n", "test_b\n"]


def test_status_is_that_of_the_tests() -> None:
    """BuildKit has it in the error of the step."""
    shown = Shown()
    error = 'process "pytest" did not complete successfully: exit code: 5'
    shown.display.read(vertex(**TESTS, error=error))
    step = step_of_tests(shown.stream, "run-tests")
    assert step is not None
    assert exit_status(step) == 5
    shown.display.close()
    assert shown.all == ["build", "closed"]
