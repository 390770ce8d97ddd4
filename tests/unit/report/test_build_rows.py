"""The rows of a build that no recording has."""

from __future__ import annotations

import json
from typing import Any

import pytest

from poetry_docker_cache.buildx.build_stream import BuildStream
from poetry_docker_cache.report.build_rows import Row, State, Subject, push_seconds, rows
from poetry_docker_cache.report.layers import Package
from poetry_docker_cache.report.line_display import LineDisplay

START = "2026-12-01T00:00:00Z"
END = "2026-12-01T00:00:05Z"


def read(*vertices: dict[str, Any], parts: tuple[dict[str, Any], ...] = ()) -> BuildStream:
    """Read reports about steps; each is seen at the time 0 and drawn 2 seconds later."""
    stream = BuildStream(clock=lambda: 0.0)
    stream.read(json.dumps({"vertexes": [{"digest": v["name"], **v} for v in vertices]}))
    stream.read(json.dumps({"statuses": [*parts]}))
    stream.clock = lambda: 2.0
    return stream


def only(stream: BuildStream) -> Row:
    """Return the only row."""
    (row,) = rows(stream, Subject(title="Building shop"))
    return row


def test_build_step_is_named_by_its_command() -> None:
    """It comes after the files that it may need, and its own files are files."""
    stream = read(
        {"name": "[run-1 3/3] RUN x", "started": START},
        {"name": "[run-1-files 2/2] COPY a ./a", "started": START, "completed": END},
        {"name": "[application 1/1] RUN y", "started": START, "completed": END},
    )
    subject = Subject(
        title="", wheels={"application": "shop 1.0"}, steps={"run-1": "python manage.py collect"}
    )
    found = rows(stream, subject)
    assert [row.name for row in found] == ["application", "files", "run-1"]
    assert found[-1].items == ("python manage.py collect",)
    assert found[-1].is_part


@pytest.mark.parametrize(
    ("name", "row", "item"),
    [
        ("[internal] booting buildkit", "builder", "pulling image buildkit"),
        (
            "importing cache manifest from registry.test/shop:cache",
            "cache",
            "pulling image buildkit",
        ),
        ("exporting cache to registry", "cache", "pulling image buildkit"),
        ("[internal] load build context", "context", None),
        ("exporting to docker image format", "image", "pulling image buildkit"),
        ("[poetry 2/3] RUN x", "tools", "poetry"),
        ("[linux/amd64 check 1/1] RUN x", "check", None),
    ],
)
def test_long_work_is_shown(name: str, row: str, item: str | None) -> None:
    """Work of less than a second is not shown."""
    part = {"vertex": name, "id": "pulling image buildkit", "started": START}
    found = only(read({"name": name, "started": START}, parts=(part,)))
    assert (found.name, found.state, found.seconds) == (row, State.RUNNING, 2.0)
    assert found.items == (() if item is None else (item,))
    assert not found.is_part
    quick = read({"name": name, "started": START, "completed": START})
    assert rows(quick, Subject(title="Building shop")) == []


def test_names_are_printable_and_on_one_line() -> None:
    """A lock file of someone else may contain anything."""
    layers = {"pure-1": [Package(name="a\x1b[2J\n::b", version="1")]}
    stream = read({"name": "[pure-1 1/1] RUN x", "started": START})
    (row,) = rows(stream, Subject(title="", layers=layers, before={"a\x1b[2J\n::b": "\x07"}))
    assert row.items == ("a ::b \u2192 1",)


def test_running_push() -> None:
    """A push has its own row, although it is a part of the export."""
    part = {"vertex": "exporting to image", "id": "pushing layers", "started": START}
    stream = read({"name": "exporting to image", "started": START}, parts=(part,))
    assert [row.name for row in rows(stream, Subject(title=""))] == ["image", "push"]
    assert push_seconds(stream) == 0.0
    stream.read(json.dumps({"statuses": [{**part, "completed": END}]}))
    assert push_seconds(stream) == 5.0
    assert push_seconds(BuildStream()) is None


def test_silence_is_explained() -> None:
    """A log shows that the build goes on."""
    now = [0.0]
    written: list[str] = []
    display = LineDisplay(
        stream=BuildStream(clock=lambda: now[0]),
        subject=lambda: Subject(title="Building shop"),
        write=written.append,
    )
    display.tick()
    display.read(
        json.dumps({"vertexes": [{"digest": "1", "name": "[pure-1 1/1] RUN x", "started": START}]})
    )
    now[0] = 29.0
    display.tick()
    assert written == ["Building shop\n"]
    now[0] = 31.0
    display.tick()
    display.tick()
    assert written[1:] == ["still running: pure-1 (31.0 s)\n"]


def test_questions_and_warnings_are_printed() -> None:
    """Questions and warnings are not part of the progress."""
    written: list[str] = []
    display = LineDisplay(
        stream=BuildStream(), subject=lambda: Subject(title="Building shop"), write=written.append
    )
    display.ask("Continue? [y/N] ")
    display.tick()
    display.read("WARNING: no config")
    assert written == ["Building shop\n", "Continue? [y/N] ", "WARNING: no config\n"]
    display.read(
        '{"vertexes": [{"digest": "1", "name": "[a 1/1] RUN x", "error": "exit code: 1"}]}'
    )
    display.read("Dockerfile:12")
    assert "Dockerfile:12\n" not in written
    assert display.stream.messages == ["WARNING: no config", "Dockerfile:12"]
