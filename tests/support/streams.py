"""Progress that BuildKit has reported in real builds, shortened: names of hosts are invented.

All are builds of a project with three layers of dependencies and a system package:

- cold: nothing is cached, and the base image is pulled
- cached: everything is cached
- bumped: rich is upgraded, and httpx removed
- push: as cached, and pushed
- failed: a RUN instruction in the stage of the final base fails
- missing_base: the base image does not exist
- two: bake builds two images that share everything but the command, without the cache
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

from poetry_docker_cache.buildx.build_stream import BuildStream
from poetry_docker_cache.report.build_rows import Subject
from poetry_docker_cache.report.layers import Package

FOLDER = Path(__file__).with_name("streams")
COLD = {
    "pure-1": {"httpcore": "1.0.9", "markdown-it-py": "4.3.0", "mdurl": "0.1.2", "rich": "14.0.0"},
    "pure-2": {
        "anyio": "4.16.0",
        "certifi": "2026.10.19.post1",
        "click": "8.5.1",
        "h11": "0.16.0",
        "httpx": "0.28.1",
        "idna": "3.20",
        "pygments": "2.21.0",
        "typing-extensions": "4.16.0",
    },
    "native-1": {"markupsafe": "3.0.4", "pyyaml": "6.0.4"},
}
"""The packages of each layer before the upgrade."""
BUMPED = {
    "pure-1": {"markdown-it-py": "4.3.0", "mdurl": "0.1.2", "rich": "14.1.0"},
    "pure-2": {"click": "8.5.1", "pygments": "2.21.0"},
    "native-1": COLD["native-1"],
}


def recorded(name: str) -> list[str]:
    """Return the lines of a recorded stream."""
    return (FOLDER / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()


def packages(layers: dict[str, dict[str, str]]) -> dict[str, list[Package]]:
    """Return the packages of layers."""
    return {
        layer: [Package(name=name, version=version) for name, version in found.items()]
        for layer, found in layers.items()
    }


def subject(
    layers: dict[str, dict[str, str]] = COLD, before: dict[str, str] | None = None
) -> Subject:
    """Describe the project of the recorded builds."""
    return Subject(
        title="Building shop:1.2.3 on python:3.13-slim",
        layers=packages(layers),
        wheels={"application": "shop 1.2.3"},
        system=["libpq5"],
        before=before or {},
    )


class Replay:
    """A recorded stream that is read again: the clock is that of the recording."""

    def __init__(self, name: str) -> None:
        self.lines = recorded(name)
        self.now = 0.0
        self.stream = BuildStream(clock=lambda: self.now)

    def read(self, until: str | None = None, *, seconds: float = 0.0) -> BuildStream:
        """Read up to the first line that contains a text, or all; then let some seconds pass."""
        while self.lines:
            line = self.lines.pop(0)
            self.now = max([self.now, *_times(line)])
            self.stream.read(line)
            if until is not None and until in line:
                break
        else:
            assert until is None, f"{until} is not in the stream"
        self.now += seconds
        return self.stream


def _times(line: str) -> list[float]:
    if not line.startswith("{"):
        return []
    found = [
        vertex[key]
        for vertex in json.loads(line).get("vertexes") or ()
        for key in ("started", "completed")
        if key in vertex
    ]
    return [datetime.fromisoformat(f"{time[:19]}+00:00").timestamp() for time in found]
