"""The layers of a build, and how their packages have changed."""

from __future__ import annotations

import base64
import json
from typing import Any

from streams import BUMPED, COLD, Replay, packages

from poetry_docker_cache.buildx.build_stream import BuildStream
from poetry_docker_cache.report.layers import (
    Layer,
    Package,
    planned_layers,
    read_layers,
    versions,
)

CLICK = Package(name="click", version="8.1.7")
FLASK = Package(name="flask", version="3.1.0")
STARTED = {"started": "2026-11-25T00:00:00.1Z", "completed": "2026-11-25T00:00:01Z"}


def ran(name: str, *output: str, **more: object) -> list[dict[str, Any]]:
    """Make the reports of a step: it prints, and ends."""
    logs = [
        {"vertex": name, "stream": 1, "data": base64.b64encode(text.encode()).decode()}
        for text in output
    ]
    return [{"logs": logs}, {"vertexes": [{"digest": name, "name": name, **STARTED, **more}]}]


def read(*reports: list[dict[str, Any]]) -> BuildStream:
    """Read reports."""
    stream = BuildStream()
    for report in (report for several in reports for report in several):
        stream.read(json.dumps(report))
    return stream


def rebuilt(stream: BuildStream) -> dict[str, bool]:
    """Return the layers, and whether each was rebuilt."""
    return {layer.name: not layer.cached for layer in read_layers(stream)}


def test_recorded_builds() -> None:
    """Rebuilt layers list what was installed, cached ones what was planned."""
    cold = read_layers(Replay("cold").read(), packages(COLD))
    assert {layer.name: versions(layer.packages or ()) for layer in cold} == COLD
    assert not any(layer.cached for layer in cold)
    cached = read_layers(Replay("cached").read(), packages(COLD))
    assert {layer.name: versions(layer.packages or ()) for layer in cached} == COLD
    assert all(layer.cached for layer in cached)
    bumped = read_layers(Replay("bumped").read(), packages(BUMPED))
    assert {layer.name: layer.cached for layer in bumped} == {
        "pure-1": False,
        "pure-2": False,
        "native-1": True,
    }


def test_planned_layers() -> None:
    """Their packages are known without BuildKit's progress, but not whether they were cached."""
    assert planned_layers({"pure-1": [FLASK, CLICK]}) == (
        Layer(name="pure-1", cached=None, packages=(CLICK, FLASK)),
    )


def test_output_of_poetry_is_parsed() -> None:
    """Poetry's wording differs, a commit may follow the version, and output may be split."""
    output = ("  - Installing cl", "ick (8.1.7 1a2b3c4)\n", " - Removing x (1)\n")
    assert read_layers(read(ran("[source 4/4] RUN install", *output))) == (
        Layer(name="source", cached=False, packages=(CLICK,)),
    )


def test_reused_package_has_planned_version() -> None:
    """The version is the planned one, because the output lacks it."""
    stream = read(ran("[pure-1 1/1] RUN x", "  - Reused Click, from the earlier image\n"))
    (layer,) = read_layers(stream, {"pure-1": [FLASK, CLICK]})
    assert layer.packages == (Package(name="click", version="8.1.7", reused=True),)
    (layer,) = read_layers(stream)
    assert layer.packages == (Package(name="click", version=None, reused=True),)


def test_cached_layer_of_vendored_dockerfile() -> None:
    """The packages of such a layer are unknown."""
    stream = read(ran("[own-numpy 1/1] RUN install", cached=True))
    assert read_layers(stream) == (Layer(name="own-numpy", cached=True, packages=None),)


def test_layer_is_rebuilt_if_any_platform_ran_it() -> None:
    """A layer is rebuilt if one platform had to install it."""
    stream = read(
        ran("[linux/amd64 pure-1 1/1] RUN install", cached=True),
        ran("[linux/amd64->linux/arm64 pure-1 1/1] RUN install"),
        ran("[linux/arm64 pure-2 1/1] RUN install", cached=True),
    )
    assert rebuilt(stream) == {"pure-1": True, "pure-2": False}


def test_layers_of_another_image() -> None:
    """They do not count, even if this image has no layers of dependencies."""
    stream = read(
        ran("[api dependencies.api 1/1] RUN install", cached=True),
        ran("[worker dependencies.worker 1/1] RUN install", "  - Installed click (8.1.7)\n"),
    )
    (layer,) = read_layers(stream, {"dependencies.api": [FLASK]})
    assert layer == Layer(name="dependencies.api", cached=True, packages=(FLASK,))
    assert read_layers(stream, {}) == ()


def test_cancelled_step_is_cached() -> None:
    """BuildKit cancels a step when it finds a cached result that makes it unnecessary."""
    stream = read(ran("[pure-1 1/1] RUN x", error="failed to get record: context canceled"))
    assert rebuilt(stream) == {"pure-1": False}


def test_other_steps_are_not_layers() -> None:
    """Copies and stages that prepare something are not layers."""
    names = ("[pure-1 1/2] FROM x", "[final 2/9] COPY --from=pure-1 /venv", "[venv 3/3] RUN x")
    assert read_layers(read(*map(ran, names))) == ()
