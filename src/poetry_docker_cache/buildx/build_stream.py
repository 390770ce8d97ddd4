"""The state of a running build, read from BuildKit's `--progress=rawjson`. Pure."""

from __future__ import annotations

import base64
import binascii
import functools
import json
import re
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from poetry_docker_cache.text import harmless

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

RAWJSON = (0, 13)
"""The first buildx with this output."""
_KEYS = {"vertexes", "statuses", "logs", "warnings"}
"""What a report may have; bake also writes empty ones."""
_CANCELLED = "context canceled"
# "[pure-1 1/1] RUN …". For several platforms or images, their names come first.
_STEP = re.compile(r"\[(?:[^]]* )?(?P<stage>[^] ]+) +\d+/\d+\] (?P<instruction>.*)", re.DOTALL)
_LOST = re.compile(r"failed to prepare extraction snapshot .*parent snapshot .* does not exist")
_FRACTION = re.compile(r"\.\d+")
# "Dockerfile:40", which the lines of the Dockerfile follow, or the error.
_REPORT = re.compile(r"\S+:\d+|ERROR: .*")


@dataclass
class Transfer:
    """A part of a step that BuildKit counts, such as the download of a base image's layer."""

    name: str
    current: int = 0
    """Bytes, or 0 if BuildKit does not count them."""
    total: int = 0
    started: float | None = None
    """Seconds on the builder's clock."""
    completed: float | None = None

    @property
    def seconds(self) -> float:
        """The duration; 0 while it runs."""
        if self.started is None or self.completed is None:
            return 0.0
        return max(0.0, self.completed - self.started)


@dataclass
class BuildStep:
    """A step of a build: BuildKit's vertex."""

    digest: str
    name: str = ""
    cached: bool = False
    """Whether its result is from a cache. If it is unpacked later, it looks as if it ran."""
    error: str = ""
    log: bytearray = field(default_factory=bytearray)
    transfers: dict[str, Transfer] = field(default_factory=dict)
    runs: dict[float, float | None] = field(default_factory=dict)
    """When each run ended by when it started, in seconds on the builder's clock; None while it
    runs. A step may be started again, for example to unpack what it has downloaded."""
    since: float = 0.0
    """When its last run was first reported, on this machine's clock."""
    _read: int = 0
    """How much of the log is in `_text`: displays ask for it several times a second."""
    _text: str = ""

    @property
    def stage(self) -> str:
        """The stage of the Dockerfile; empty for a step outside it."""
        return _parts(self.name)[0]

    @property
    def instruction(self) -> str:
        """The instruction of the Dockerfile; empty for a step outside it."""
        return _parts(self.name)[1]

    @property
    def cancelled(self) -> bool:
        """Whether BuildKit stopped it: its result was not needed, or another step failed."""
        return _CANCELLED in self.error

    @property
    def failed(self) -> bool:
        """Whether it ended with an error of its own."""
        return bool(self.error) and not self.cancelled

    @property
    def running(self) -> bool:
        """Whether it has begun and not ended."""
        return None in self.runs.values()

    @property
    def ran(self) -> bool:
        """Whether it ran to its end, instead of being cached."""
        return bool(self.runs) and not self.running and not self.cached and not self.error

    @property
    def ended(self) -> bool:
        """Whether its result is there."""
        return self.cached or self.ran

    @property
    def text(self) -> str:
        """What it has printed."""
        end = self.log.rfind(b"\n") + 1
        if end > self._read:
            self._text += harmless(self.log[self._read : end].decode(errors="replace"))
            self._read = end
        return self._text + harmless(self.log[end:].decode(errors="replace"))

    def periods(self, now: float) -> list[tuple[float, float]]:
        """Return when it has run, in seconds on the builder's clock.

        The clock of the builder may differ from `now`, so a running step counts from its report.
        """
        return [
            (start, start + now - self.since if end is None else end)
            for start, end in self.runs.items()
        ]


def seconds(steps: Iterable[BuildStep], now: float) -> float:
    """Return for how long any of these steps has run."""
    total, last = 0.0, 0.0
    for start, end in sorted(period for step in steps for period in step.periods(now)):
        total += max(0.0, end - max(start, last))
        last = max(last, end)
    return total


@dataclass
class BuildStream:
    """All steps of a build in the order of their first report, and what the client printed."""

    clock: Callable[[], float] = time.monotonic
    steps: dict[str, BuildStep] = field(default_factory=dict)
    """The steps by digest."""
    messages: list[str] = field(default_factory=list)
    """Lines of the client that report no status: warnings, and the error at the end."""
    report: list[str] = field(default_factory=list)
    """The lines that report a failed build; the command prints them, not a display."""

    def read(self, line: str) -> bool:
        """Read a line of the client's stderr; return whether it reports the status of steps."""
        status = _status(line)
        if status is None:
            self.messages.append(line)
            if self.report or _REPORT.fullmatch(line):
                self.report.append(line)
            return False
        for vertex in _objects(status, "vertexes"):
            self._read_vertex(vertex)
        for part in _objects(status, "statuses"):
            self._read_transfer(part)
        for part in _objects(status, "logs"):
            self._step(part.get("vertex")).log.extend(_decoded(part.get("data")))
        return True

    @property
    def failure(self) -> BuildStep | None:
        """The step whose error ended the build; None if none has failed."""
        failed = (step for step in self.steps.values() if step.failed)
        # The error may also be reported for steps that need its result, which have not run.
        return max(failed, key=lambda step: bool(step.runs), default=None)

    @property
    def lost_a_layer(self) -> bool:
        """Whether the engine lost a layer while it unpacked the image (moby/buildkit#6521).

        The containerd image store removes the layers of an image that has lost its name, even while
        it unpacks the new image on top of them.
        """
        return any(_LOST.search(step.error) for step in self.steps.values()) or any(
            map(_LOST.search, self.messages)
        )

    def take_over(self, earlier: BuildStream) -> None:
        """Take over the steps that an earlier attempt ran: this one found them in the cache."""
        ran = {digest: step for digest, step in earlier.steps.items() if step.ran}
        self.steps.update((digest, ran[digest]) for digest in self.steps.keys() & ran.keys())

    def _step(self, digest: object) -> BuildStep:
        return self.steps.setdefault(str(digest), BuildStep(str(digest)))

    def _read_vertex(self, vertex: Mapping[str, Any]) -> None:
        step = self._step(vertex.get("digest"))
        step.name = harmless(str(vertex.get("name", step.name)))
        step.error = harmless(str(vertex.get("error") or ""))  # the last report counts
        step.cached = step.cached or bool(vertex.get("cached"))
        started = _seconds(vertex.get("started"))
        if started is not None:
            if started not in step.runs:
                step.since = self.clock()
            step.runs[started] = _seconds(vertex.get("completed"))

    def _read_transfer(self, part: Mapping[str, Any]) -> None:
        name = str(part.get("id"))
        transfers = self._step(part.get("vertex")).transfers
        transfer = transfers.setdefault(name, Transfer(name))
        transfer.current = _number(part.get("current"))
        transfer.total = _number(part.get("total"))
        transfer.started = _seconds(part.get("started"))
        transfer.completed = _seconds(part.get("completed"))


@functools.lru_cache
def _parts(name: str) -> tuple[str, str]:
    """Return the stage and the instruction in the name of a step; both empty if it has none."""
    match = _STEP.match(name)
    return (match["stage"], match["instruction"]) if match else ("", "")


def _status(line: str) -> dict[str, Any] | None:
    if not line.startswith("{"):
        return None
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) and found.keys() <= _KEYS else None


def _objects(status: Mapping[str, Any], key: str) -> Iterator[dict[str, Any]]:
    found = status.get(key)
    yield from (item for item in found if isinstance(item, dict)) if isinstance(found, list) else ()


def _decoded(data: object) -> bytes:
    try:
        return base64.b64decode(str(data))
    except (binascii.Error, ValueError):
        return b""


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def _seconds(text: object) -> float | None:
    """Parse a time in RFC 3339, which may have nanoseconds."""
    if not isinstance(text, str):
        return None
    fraction = _FRACTION.search(text)
    plain = _FRACTION.sub("", text, count=1).replace("Z", "+00:00")
    try:
        whole = datetime.fromisoformat(plain).timestamp()
    except ValueError:
        return None
    return whole + (float(fraction[0]) if fraction else 0.0)
