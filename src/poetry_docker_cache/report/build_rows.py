"""The rows that show a running build, one for each part of the image. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from poetry_docker_cache.buildx.build_stream import seconds
from poetry_docker_cache.report.layers import Package, installed_packages, is_layer
from poetry_docker_cache.text import duration, megabytes, printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from poetry_docker_cache.buildx.build_stream import BuildStep, BuildStream, Transfer

_FROM = re.compile(r"FROM (?:docker\.io/(?:library/)?)?(\S+?)(?:@sha256:[0-9a-f]+)?")
_METADATA = re.compile(r"load metadata for (?:docker\.io/(?:library/)?)?(\S+?)(?:@\S+)?$")
# pip prints the size of each file that it downloads or takes from its cache.
_DOWNLOADED = re.compile(
    r"^ *(?:Downloading|Using cached) \S+ \((\d+(?:\.\d+)?) (bytes|kB|MB|GB)\)", re.MULTILINE
)
_UNITS = {"bytes": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9}
_SHOWN_SECONDS = 1.0
"""Work for the image that takes less time is not shown."""

BUILDER, CACHE, BASE, CONTEXT, TOOLS = "builder", "cache", "base image", "context", "tools"
SYSTEM, FILES, CHECK, IMAGE, PUSH = "system packages", "files", "check", "image", "push"
_BEFORE = (BUILDER, CACHE, BASE, CONTEXT, TOOLS, SYSTEM)
_MIDDLE, _AFTER = (FILES, CHECK), (IMAGE, PUSH)
_STAGES = {"base": SYSTEM, "files": FILES, "check": CHECK, "final": IMAGE}
_INTERNAL = {
    "booting buildkit": BUILDER,
    "importing cache": CACHE,
    "inferred cache": CACHE,
    "exporting cache": CACHE,
    "preparing build cache": CACHE,
    "load metadata for": BASE,
    "load build context": CONTEXT,
    "exporting to ": IMAGE,
    "sending tarball": IMAGE,
    "importing to docker": IMAGE,
}
"""The rows of steps outside the Dockerfile, by a part of their names."""
PUSHING = "pushing "
"""The prefix of BuildKit's names for the parts of a push."""


class State(Enum):
    """What happens in a part of the image."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    CACHED = "cached"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is known before the build about what it builds."""

    title: str
    layers: Mapping[str, Sequence[Package]] = field(default_factory=dict)
    """The packages that each layer may contain, by layer."""
    wheels: Mapping[str, str] = field(default_factory=dict)
    """What the stages of other wheels, and of front ends, build, by stage."""
    steps: Mapping[str, str] = field(default_factory=dict)
    """The commands of `run`, by stage."""
    system: Sequence[str] = ()
    """The system packages of the image."""
    before: Mapping[str, str] = field(default_factory=dict)
    """The version of each package in the last build; empty if unknown."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A part of the image, or work for it."""

    name: str
    state: State
    is_part: bool
    """Whether it is a part of the image, as opposed to work for it."""
    items: tuple[str, ...] = ()
    """What it contains or does, the most important first."""
    size: str = ""
    current: int = 0
    total: int = 0
    """Bytes of a download; 0 if they are not counted."""
    seconds: float = 0.0
    steps: tuple[BuildStep, ...] = ()

    @property
    def ended(self) -> bool:
        """Whether nothing more happens in it."""
        return self.state in (State.DONE, State.CACHED, State.FAILED)

    @property
    def time(self) -> str:
        """The duration; empty before it has begun."""
        return duration(self.seconds) if self.steps and self.state is not State.WAITING else ""

    @property
    def log(self) -> str:
        """What its steps have printed."""
        return "".join(step.text for step in self.steps)


def rows(stream: BuildStream, subject: Subject) -> list[Row]:
    """Return the rows of what BuildKit has reported about a build, in their order.

    Work for the image is left out if it was quick.
    """
    parts: dict[str, list[BuildStep]] = {}
    for step in stream.steps.values():
        for name in _names(step, subject):
            parts.setdefault(name, []).append(step)
    order = [*_BEFORE, *subject.layers, *subject.wheels]
    last = [*_MIDDLE, *subject.steps, *_AFTER]
    others = sorted(parts.keys() - {*order, *last})
    found = [
        _row(name, parts[name], subject, stream.clock())
        for name in (*order, *others, *last)
        if name in parts
    ]
    failed = stream.failure is not None
    return [
        row
        for row in found
        if (row.is_part and not (failed and row.state is State.WAITING)) or _is_worth_showing(row)
    ]


def _is_worth_showing(row: Row) -> bool:
    if row.state in (State.WAITING, State.CACHED):
        return False
    return row.state is State.FAILED or row.name == PUSH or row.seconds >= _SHOWN_SECONDS


def _names(step: BuildStep, subject: Subject) -> Iterator[str]:
    """Yield the rows that a step belongs to."""
    stage = step.stage
    if _FROM.fullmatch(step.instruction):
        yield BASE
    elif stage in subject.steps:
        yield stage
    elif stage.removesuffix("-files") in subject.steps:
        yield FILES
    elif stage in subject.layers or stage in subject.wheels or is_layer(stage):
        yield stage
    elif stage:
        yield _STAGES.get(stage, TOOLS)
    else:
        yield from (row for part, row in _INTERNAL.items() if part in step.name)
        if _pushes([step]):
            yield PUSH


def _row(name: str, steps: Sequence[BuildStep], subject: Subject, now: float) -> Row:
    downloads = [part for step in steps for part in step.transfers.values() if part.total]
    state = _state(steps)
    took = seconds(steps, now)
    if name == PUSH:
        pushes = _pushes(steps)
        took = took if None in (part.completed for part in pushes) else _sum(pushes)
    total = sum(part.total for part in downloads) if name == BASE else 0
    if name == BASE:
        size = megabytes(total) if total and state is State.DONE else ""
    else:
        size = _downloaded(steps) if name not in _INTERNAL.values() else ""
    return Row(
        name=name,
        state=state,
        is_part=name in (SYSTEM, FILES, *subject.wheels, *subject.steps) or is_layer(name),
        # Names in the lock file and versions in the record of a build may be any text.
        items=tuple(
            " ".join(printable(each).split()) for each in _items(name, steps, subject, state)
        ),
        size=size,
        current=min(total, sum(part.current for part in downloads)),
        total=total,
        seconds=took,
        steps=tuple(steps),
    )


def push_seconds(stream: BuildStream) -> float | None:
    """Return how long pushing the images took; None if none was pushed."""
    steps = stream.steps.values()
    pushes = _pushes([step for step in steps if "exporting to " in step.name])
    return _sum(pushes) if pushes else None


def _sum(parts: Sequence[Transfer]) -> float:
    return sum(part.seconds for part in parts)


def _pushes(steps: Sequence[BuildStep]) -> list[Transfer]:
    parts = [part for step in steps for part in step.transfers.values()]
    return [part for part in parts if part.name.startswith(PUSHING)]


def _state(steps: Sequence[BuildStep]) -> State:
    if any(step.failed for step in steps):
        return State.FAILED
    if any(step.running for step in steps):
        return State.RUNNING
    if all(step.ended or step.cancelled for step in steps):
        ran = any(step.ran for step in steps)
        return State.DONE if ran else State.CACHED
    return State.RUNNING if any(step.ran for step in steps) else State.WAITING


def _downloaded(steps: Sequence[BuildStep]) -> str:
    """Return the size of the files that pip has downloaded, or taken from its cache."""
    sizes = [
        float(number) * _UNITS[unit]
        for step in steps
        for number, unit in _DOWNLOADED.findall(step.text)
    ]
    return megabytes(sum(sizes)) if sizes else ""


def _items(name: str, steps: Sequence[BuildStep], subject: Subject, state: State) -> Iterator[str]:
    """Yield what a row contains or does."""
    if name in subject.layers or is_layer(name):
        yield from _packages(name, steps, subject, state)
    elif name in subject.wheels:
        yield subject.wheels[name]
    elif name in subject.steps:
        yield subject.steps[name]
    elif name == BASE:
        yield from _bases(steps)
    elif name == SYSTEM:
        yield from subject.system
    elif name == TOOLS:
        yield from dict.fromkeys(step.stage for step in steps if step.running)
    elif name in (IMAGE, PUSH, CACHE, BUILDER) and state is State.RUNNING:
        running = [part.name for step in steps for part in step.transfers.values()]
        yield from (_shortened(part) for part in running[-1:])


def _shortened(transfer: str) -> str:
    """Remove the digest from the description of what BuildKit does."""
    words = [word for word in transfer.split() if not word.startswith("sha256:")]
    return " ".join(words).partition("@sha256:")[0]


def _bases(steps: Sequence[BuildStep]) -> Iterator[str]:
    """Yield the images that are pulled, those being downloaded first."""
    found: dict[str, bool] = {}
    for step in steps:
        match = _FROM.fullmatch(step.instruction) or _METADATA.search(step.name)
        if match:
            found[match[1]] = found.get(match[1], False) or bool(step.transfers)
    yield from sorted(found, key=lambda image: not found[image])


def _packages(
    name: str, steps: Sequence[BuildStep], subject: Subject, state: State
) -> Iterator[str]:
    """Yield the packages of a layer: those that have changed first."""
    found = list(subject.layers.get(name, ()))
    if state is State.DONE:
        output = "".join(step.text for step in steps)
        found = sorted(set(installed_packages(output, found)), key=lambda each: each.name)
    before = subject.before
    if not before:
        yield from map(_named, found)
        return
    changed = [package for package in found if before.get(package.name) != package.version]
    yield from (_named(package, before.get(package.name)) for package in changed)
    yield from (_named(package) for package in found if package not in changed)


def _named(package: Package, old: str | None = None) -> str:
    version = f" {package.version}" if package.version else ""
    if package.reused:
        return f"{package.name}{version} (reused)"
    return f"{package.name} {old} →{version}" if old else f"{package.name}{version}"
