"""What BuildKit says about a failed build."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest

from poetry_docker_cache.buildx.build_failure import Failure, of_history, of_stream
from poetry_docker_cache.buildx.build_stream import BuildStream
from poetry_docker_cache.buildx.engine_info import Answer
from poetry_docker_cache.errors import DockerCacheError

if TYPE_CHECKING:
    from collections.abc import Sequence

CANCELLED = 'process "/bin/sh -c x" did not complete successfully: exit code: 137: context canceled'
FAILED = 'process "/bin/sh -c false" did not complete successfully: exit code: 1'
EXCERPT = ["Dockerfile:40", "--------------------", "  40 | >>> RUN false", "--------------------"]
RAN = {"started": "2026-12-01T02:00:00Z", "completed": "2026-12-01T02:00:01Z"}
STEPS = (
    {"digest": "sha256:a", "name": "[poetry 3/3] RUN x", "error": CANCELLED, **RAN},
    {"digest": "sha256:b", "name": "[base 2/2] RUN false", "error": FAILED, **RAN},
)
LOG = {"vertex": "sha256:b", "stream": 1, "data": base64.b64encode(b"first\nlast\n").decode()}


def stream_of(*lines: str | dict[str, Any]) -> BuildStream:
    """Read a build's output."""
    stream = BuildStream()
    for line in lines:
        stream.read(line if isinstance(line, str) else json.dumps(line))
    return stream


def test_failure_has_step_output_and_excerpt() -> None:
    """The cancelled one is another; the lines of the Dockerfile are separate from the error."""
    end = f"ERROR: failed to build: failed to solve: {FAILED}"
    stream = stream_of("a warning", {"logs": [LOG]}, {"vertexes": STEPS}, *EXCERPT, end)
    assert of_stream(stream) == Failure(
        step="[base 2/2] RUN false",
        error=FAILED,
        output="first\nlast\n",
        excerpt="\n".join(EXCERPT),
    )


@pytest.mark.parametrize("start", ["ERROR: ", "ERROR: failed to solve: ", "ERROR: target api: "])
def test_failure_without_a_step(start: str) -> None:
    """The error of the client says what is wrong."""
    found = of_stream(stream_of(*EXCERPT, f"{start}dockerfile parse error on line 40: no"))
    assert found
    assert (found.step, found.error) == ("", "dockerfile parse error on line 40: no")


def test_command_with_the_word_error() -> None:
    """It is a part of the lines of the Dockerfile, and of the error."""
    command = "make || (echo ERROR: no; false)"
    error = f'process "/bin/sh -c {command}" did not complete successfully: exit code: 1'
    excerpt = ["Dockerfile:2", f"   2 | >>> RUN {command}"]
    steps = [{**STEPS[1], "error": error}]
    found = of_stream(stream_of({"vertexes": steps}, *excerpt, f"ERROR: {error}"))
    assert found
    assert (found.error, found.excerpt) == (error, "\n".join(excerpt))


def test_errors_of_client_and_step_are_combined() -> None:
    """The error of a push may name the image only in the step."""
    error = {"digest": "sha256:c", "name": "exporting", "error": "failed to push a/b: 401", **RAN}
    found = of_stream(stream_of({"vertexes": [error]}, "ERROR: failed to build: 401"))
    assert found
    assert found.error == "401\nfailed to push a/b: 401"


def test_client_that_starts_no_build_has_no_failure() -> None:
    """The client reports a wrong option itself, for example; a killed client reports nothing."""
    assert of_stream(stream_of("unknown flag: --nope", "", "Usage: docker buildx build")) is None
    assert of_stream(stream_of({"vertexes": [{"digest": "x", "name": "y"}]})) == Failure(error="")


RECORD = {
    "Dockerfile": "/t/ours/build/Dockerfile",
    "Status": "failed",
    "Error": {"Message": FAILED, "Name": "[base 2/2] RUN false", "Logs": ["first", "last"]},
}


@pytest.mark.parametrize(
    ("record", "folder", "known"),
    [
        (json.dumps(RECORD), "/t/ours", True),
        (json.dumps(RECORD), "/t/other", False),
        (json.dumps({**RECORD, "Error": None}), "/t/ours", False),
        ("unknown flag: --format", "/t/ours", False),
    ],
)
def test_failure_is_read_from_the_history(record: str, folder: str, known: bool) -> None:
    """Records of other builds are ignored."""
    asked: list[Sequence[str]] = []

    def ask(commands: Sequence[Sequence[str]], **_: object) -> list[Answer]:
        asked.extend(commands)
        return [Answer(status=0, out=record, err="")]

    found = of_history(["docker"], "main", folder, ask=ask)
    expected = Failure(step="[base 2/2] RUN false", error=FAILED, output="first\nlast")
    assert found == (expected if known else None)
    assert [command[:4] for command in asked] == [["docker", "buildx", "--builder", "main"]]


def test_history_without_an_engine() -> None:
    """A missing history is not an additional error."""

    def ask(*_: object, **__: object) -> list[Answer]:
        raise DockerCacheError("gone")

    assert of_history(["docker"], "main", "/t", ask=ask) is None
