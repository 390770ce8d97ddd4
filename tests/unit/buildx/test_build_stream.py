"""The state of a build, read from recorded streams of BuildKit."""

from __future__ import annotations

import base64
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from streams import Replay, recorded

from poetry_docker_cache.buildx.build_stream import BuildStep, BuildStream, seconds


def read(*lines: str) -> BuildStream:
    """Read lines."""
    stream = BuildStream()
    for line in lines:
        stream.read(line)
    return stream


def of(stream: BuildStream, stage: str) -> list[BuildStep]:
    """Return the steps of a stage."""
    return [step for step in stream.steps.values() if step.stage == stage]


def status(**vertex: Any) -> str:  # noqa: ANN401  # any JSON value
    """Make a line about one step."""
    return json.dumps({"vertexes": [{"digest": "1", "name": "[pure-1 1/1] RUN x", **vertex}]})


def test_first_build() -> None:
    """Every step has run; the base image's layer is counted in bytes."""
    stream = Replay("cold").read()
    (layer,) = of(stream, "pure-1")
    assert layer.ran
    assert not layer.cached
    assert "Installed rich (14.0.0)" in layer.text
    assert 5 < seconds([layer], 0) < 7
    (base,) = (step for step in of(stream, "manifest") if step.instruction.startswith("FROM"))
    assert [part.total for part in base.transfers.values() if part.total] == [45543356]
    assert len(base.runs) > 2  # it is resolved, downloaded and unpacked
    assert stream.failure is None
    assert stream.messages == []


def test_cached_steps_have_not_run() -> None:
    """A cached step has started and completed, as one that ran."""
    stream = Replay("cached").read()
    for stage in ("pure-1", "pure-2", "native-1", "application", "check"):
        for step in of(stream, stage):
            assert (step.cached, step.ran, step.ended) == (True, False, True)


def test_running_step_counts_on_this_machine() -> None:
    """The builder's clock may be another one."""
    replay = Replay("cold")
    replay.read(
        '"[pure-1 1/1] RUN --mount=type=bind,from=scripts,source=/install,target…","started"'
    )
    (layer,) = of(replay.stream, "pure-1")
    assert layer.running
    assert round(seconds([layer], replay.now + 12), 3) == 12


def test_steps_at_the_same_time_count_once() -> None:
    """The time of several steps is when any of them has run."""
    steps = [
        BuildStep("1", runs={10.0: 20.0, 30.0: 35.0}),
        BuildStep("2", runs={15.0: 22.0}),
        BuildStep("3", runs={11.0: 12.0, 34.0: None}, since=100.0),
    ]
    assert seconds(steps, 103.0) == 12 + 7
    assert seconds([], 0) == 0


def test_failed_step_has_output_and_error() -> None:
    """A failed step has its output and error; the client's report about it is kept."""
    stream = Replay("failed").read()
    assert stream.failure is not None
    assert stream.failure.stage == "base"
    assert stream.failure.text == "one\ntwo\n"
    assert "exit code: 3" in stream.failure.error
    assert stream.messages[0].startswith("Dockerfile:")
    assert stream.messages[-1].startswith("ERROR: failed to build: ")
    cancelled = [step for step in stream.steps.values() if step.cancelled]
    assert cancelled
    assert not any(step.failed or step.ran for step in cancelled)


def test_missing_base_is_a_failed_step() -> None:
    """The build fails before any instruction has run."""
    stream = Replay("missing_base").read()
    assert stream.failure is not None
    assert "load metadata for" in stream.failure.name
    assert "python:3.13-nosuch: not found" in stream.failure.error


def test_images_share_steps() -> None:
    """The name of an image is not a part of the stage."""
    stream = Replay("two").read()
    assert {len(of(stream, stage)) for stage in ("pure-1", "pure-2", "native-1")} == {1}
    assert {step.stage for step in stream.steps.values()} >= {"final", "application", "base"}


def test_platforms_are_not_part_of_the_stage() -> None:
    """A platform, or two for a step that runs on another one, precede the stage."""
    for name in ("linux/arm64 pure-1", "linux/amd64->linux/arm64 pure-1", "api linux/arm64 pure-1"):
        assert BuildStep("1", name=f"[{name} 1/1] RUN x").stage == "pure-1"
    assert BuildStep("1", name="[internal] load build context").stage == ""


def test_step_that_starts_again() -> None:
    """BuildKit may cancel a step and start it again: the last report counts."""
    first = {"started": "2026-12-01T00:00:00Z", "completed": "2026-12-01T00:00:01.5Z"}
    again = {"started": "2026-12-01T00:00:10Z", "completed": "2026-12-01T00:00:12Z"}
    stream = read(status(**first, error="context canceled"))
    (step,) = stream.steps.values()
    assert (step.cancelled, step.ran, step.failed) == (True, False, False)
    stream.read(status(**again))
    assert (step.cancelled, step.ran) == (False, True)
    assert seconds([step], 0) == 3.5


def test_lost_layer() -> None:
    """The error of the step or of the client says so."""
    why = (
        "failed to prepare extraction snapshot extract-1 sha256:a: parent snapshot sha256:b does"
        " not exist: not found"
    )
    assert read(status(error=why)).lost_a_layer
    assert read(f"ERROR: failed to solve: {why}").lost_a_layer
    assert not read(status(error="exit code: 1"), "ERROR: exit code: 1").lost_a_layer


def test_other_lines_are_messages() -> None:
    """A program may print JSON of its own; BuildKit may report nothing."""
    lines = ["WARNING: no config", '{"a": 1}', "{", "[]", "", '{"vertexes": null}', "{}"]
    assert read(*lines).messages == lines[:-2]


NAMES = ["digest", "name", "completed", "started", "error", "vertex", "data", "id", "current"]
ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(NAMES),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.lists(st.dictionaries(st.sampled_from(["vertexes", "logs", "statuses"]), ODD)))
def test_unexpected_reports_are_ignored(values: list[Any]) -> None:
    """Other versions of BuildKit may report something else."""
    stream = read(*map(json.dumps, values))
    seconds(stream.steps.values(), 1.0)
    assert stream.failure is None or stream.failure.error


def test_recordings_contain_no_host_names() -> None:
    """Recordings are anonymous."""
    for name in ("cold", "cached", "bumped", "push", "failed", "missing_base", "two"):
        text = "\n".join([*recorded(name), *(s.text for s in Replay(name).read().steps.values())])
        assert "127.0.0.1" not in text
        assert "pypi" not in text


def test_output_cannot_change_the_terminal() -> None:
    """A package prints what it likes: to the log of its step, and in a name."""
    said = b"\x1b[2J\x1b]52;c;cm0=\x07a\r\n\xff\xc2\x9b1m\x08b\tc\n::add-path::/tmp\n"
    log = {"vertex": "1", "data": base64.b64encode(said).decode()}
    stream = read(status(name="[a 1/1] \x1b[2JRUN x", error="\x1b]0;x\x07no"))
    step = stream.steps["1"]
    assert stream.read(json.dumps({"logs": [log]}))
    whole = "a\n\ufffd1mb\tc\n| ::add-path::/tmp\n"
    assert step.text == whole
    step.log.extend(b"\xe2\x82")
    assert step.text == whole + "\ufffd"
    step.log.extend(b"\xac\n")
    assert step.text == whole + "\u20ac\n"
    assert (stream.steps["1"].name, stream.steps["1"].error) == ("[a 1/1] RUN x", "no")
