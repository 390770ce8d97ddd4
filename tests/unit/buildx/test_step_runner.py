"""Running steps: what a failure means, and what runs in any case."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from fake_docker import FakeDocker

from poetry_docker_cache.buildx.build_stream import BuildStream
from poetry_docker_cache.buildx.step_runner import StepRunner
from poetry_docker_cache.buildx.steps import Step
from poetry_docker_cache.errors import DockerCacheError

if TYPE_CHECKING:
    from poetry_docker_cache.buildx.engine_info import Answer

NOW = "2026-12-01T02:00:00Z"
MAIN = Step(
    argv=("docker", "buildx", "build"),
    output="terminal",
    decides=True,
    environment={"OURS": "1", "PATH": "ours"},
    needs={"/w/file": "text"},
)


class SilentDisplay:
    """A display that only reads."""

    def __init__(self) -> None:
        self.stream = BuildStream()
        self.closed = 0

    def read(self, line: str) -> None:
        """Take a line."""
        self.stream.read(line)

    def ask(self, text: str) -> None:
        """Take a question."""

    def tick(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Count."""
        self.closed += 1


def step(*words: str, always: bool = False, chain: str = "") -> Step:
    """Make a step that is not the build."""
    return Step(argv=("docker", *words), failure="Not done", always=always, chain=chain)


def test_the_build_decides_the_status(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its files are written first; variables in the environment have priority."""
    monkeypatch.setenv("PATH", "/theirs")
    docker = FakeDocker()
    outcome = docker.runner().run_all([step("a"), MAIN, step("b")])
    assert (outcome.status, docker.verbs) == (0, ["a", "buildx", "b"])
    assert outcome.seconds > 0
    assert docker.written == {"/w/file": "text"}
    (environment,) = docker.environments
    assert (environment["OURS"], environment["PATH"]) == ("1", "/theirs")


def test_nothing_follows_a_failed_build() -> None:
    """Not even cleaning up, since no later step has run."""
    docker = FakeDocker("buildx")
    outcome = docker.runner().run_all([step("a"), MAIN, step("b"), step("c", always=True)])
    assert (outcome.status, docker.verbs) == (1, ["a", "buildx"])
    assert not docker.notes


LOST = (
    "ERROR: failed to solve: failed to prepare extraction snapshot extract-1 sha256:a: parent"
    " snapshot sha256:b does not exist: not found"
)


@pytest.mark.parametrize("fails", [True, False])
@pytest.mark.parametrize("progress", [LOST, "ERROR: failed to solve: no space left"])
def test_build_runs_again_after_a_lost_layer(progress: str, *, fails: bool) -> None:
    """Once, with a note; any other failure is final."""
    docker = FakeDocker(*["buildx"] * fails, progress=progress)
    again = int(fails and progress == LOST)
    outcome = docker.runner(SilentDisplay()).run_all([MAIN])
    assert outcome.status == int(fails)
    assert docker.verbs == ["buildx"] * (1 + again)
    assert len(docker.notes) == again
    assert len(docker.written) == 1


def test_repeated_build_has_installed_what_the_first_one_has() -> None:
    """The second attempt finds it in the cache, and only unpacks the image."""
    ran = {"digest": "1", "name": "[pure-1 1/1] RUN x", "started": NOW, "completed": NOW}
    both = {"digest": "2", "name": "[pure-2 1/1] RUN x", "cached": True}
    log = {"vertex": "1", "data": "aW5zdGFsbGVk"}
    first, second = BuildStream(), BuildStream()
    first.read(json.dumps({"vertexes": [ran, both], "logs": [log]}))
    second.read(json.dumps({"vertexes": [{**ran, "cached": True}, both]}))
    second.take_over(first)
    assert [(step.cached, step.text) for step in second.steps.values()] == [
        (False, "installed"),
        (True, ""),
    ]


def test_display_gets_the_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    """The progress is requested in the format that we read, whatever the variable says."""
    monkeypatch.setenv("BUILDKIT_PROGRESS", "")
    docker = FakeDocker(progress='warning\n{"vertexes": [{"digest": "1", "name": "one"}]}')
    display = SilentDisplay()
    outcome = docker.runner(display).run_all([MAIN])
    assert docker.environments[0]["BUILDKIT_PROGRESS"] == "rawjson"
    assert display.closed == 1
    assert outcome.stream is display.stream
    assert [step.name for step in display.stream.steps.values()] == ["one"]
    assert display.stream.messages == ["warning"]


def test_failed_chain_is_one_note() -> None:
    """The rest of the chain is skipped except for cleaning up; other steps run."""
    docker = FakeDocker("a", error="what\nERROR: no room\nsee above")
    steps = [
        MAIN,
        step("a", chain="one"),
        step("b", chain="one"),
        step("other", chain="another"),
        step("c", always=True, chain="one"),
    ]
    assert docker.runner().run_all(steps).status == 0
    assert docker.verbs == ["buildx", "a", "other", "c"]
    assert docker.notes == ["Not done: ERROR: no room"]


def test_steps_without_a_chain_fail_independently() -> None:
    """Each failure has a note."""
    docker = FakeDocker("a", error="none")
    docker.runner().run_all([step("a"), step("a"), MAIN])
    assert docker.verbs == ["a", "a", "buildx"]
    assert docker.notes == ["Not done: none"] * 2


@pytest.mark.parametrize(("error", "why"), [("", "status 1"), ("it broke\n", "it broke")])
def test_the_reason_is_the_last_line(error: str, why: str) -> None:
    """If there is no line, it is the exit status."""
    docker = FakeDocker("a", error=error)
    docker.runner().run_all([step("a")])
    assert docker.notes == [f"Not done: {why}"]


def test_command_that_cannot_be_run_is_a_note() -> None:
    """It does not stop the build."""

    def ask(*_: object, **__: object) -> list[Answer]:
        raise DockerCacheError("docker cannot be run.")

    docker = FakeDocker()
    runner = StepRunner(
        note=docker.notes.append,
        write=docker.written.__setitem__,
        run=docker.run,
        ask=ask,
    )
    assert runner.run_all([step("a"), MAIN]).status == 0
    assert docker.notes == ["Not done: docker cannot be run."]
