"""The summary of a build: what changed, what was rebuilt, and what to do next. Pure."""

from __future__ import annotations

import shlex
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from poetry_docker_cache.comparison.package_changes import lines_by_layer
from poetry_docker_cache.text import duration, fitting, megabytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from poetry_docker_cache.comparison.package_changes import PackageChange
    from poetry_docker_cache.report.layers import Layer

KEY = "poetry-docker-cache"
"""The key of the summary in the metadata file."""

_WIDTH = 79
"""A line fits a terminal of 80 columns, if its words do."""
_TITLE = 8
"""The width of the titles: a digest fits behind them."""
_MOST_CHANGES = 5
"""The number of layers whose changes are shown: `poetry docker diff` shows all."""
_OLD = 30
"""After so many days, security updates are likely to be missing."""


@dataclass(frozen=True, kw_only=True)
class Base:
    """The base of an image."""

    image: str
    digest: str | None = None
    """None if unknown."""
    days: int = 0
    """The number of days for which builds on this machine have used it and its system packages."""

    @property
    def is_old(self) -> bool:
        """Whether it probably lacks security updates."""
        return self.days > _OLD


@dataclass(frozen=True, kw_only=True)
class RunStep:
    """A command of `run`."""

    name: str
    command: str
    cached: bool


@dataclass(frozen=True, kw_only=True)
class Summary:
    """The result of a build; a value is None if it is unknown."""

    seconds: float
    tags: tuple[str, ...]
    layers: tuple[Layer, ...] | None = None
    """None for a vendored Dockerfile if BuildKit showed its progress itself."""
    steps: tuple[RunStep, ...] = ()
    """The commands of `run`; empty if BuildKit showed its progress itself."""
    changes: tuple[PackageChange, ...] = ()
    """How the packages differ from those of the last build; empty for the first one."""
    new_base: bool = False
    """Whether the base image is another one than in the last build."""
    digest: str | None = None
    size: int | None = None
    """The bytes of the compressed layers, as stored in a registry and pulled."""
    platforms: int = 1
    """The number of platforms that `size` includes."""
    push_seconds: float | None = None
    """How long it took to push the image; None if it was not pushed."""
    base: Base | None = None
    starts: str | None = None
    """The command that a container runs; None if unknown."""
    run: tuple[str, ...] = ()
    """A command that runs the image; empty if there is no image to run."""
    warnings: tuple[str, ...] = ()
    """The notes of the plan that matter most."""


def lines(summary: Summary) -> list[tuple[str, str]]:
    """Return the lines to print, as title and text."""
    found = [*_why(summary), *_layers(summary.layers or ()), *_steps(summary.steps)]
    if summary.base and summary.base.is_old:
        used = f"{summary.base.image}, unchanged for {summary.base.days} days"
        found.append(("Base", f"{used}: update with `--refresh`"))
    took = duration(summary.seconds)
    if summary.push_seconds is not None:
        took += f" (push: {duration(summary.push_seconds)})"
    if summary.digest is None:
        found.append(("Time", took))
    else:
        first, *others = summary.tags or ("without a name",)
        more = f" and {len(others)} more" if others else ""
        found.append(("Image", f"{first}{more}: {_size(summary)}in {took}"))
        found.append(("Digest", summary.digest))
    if summary.starts is not None:
        found.append(("Starts", _one_line(summary.starts)))
    if summary.run:
        found.append(("Run", shlex.join(summary.run)))
    return [(f"{title:{_TITLE}}", text) for title, text in found]


def _why(summary: Summary) -> Iterator[tuple[str, str]]:
    """Yield what changed since the last build."""
    if summary.new_base and summary.base:
        yield "Change", f"{summary.base.image} is a newer image"
    found = lines_by_layer(summary.changes, _WIDTH - _TITLE)
    yield from (("Change", line) for line in found[:_MOST_CHANGES])
    if more := found[_MOST_CHANGES:]:
        yield "Change", f"{len(more)} more layer{'s' * (len(more) != 1)}"


def _layers(layers: Sequence[Layer]) -> Iterator[tuple[str, str]]:
    """Yield what happened to the layers of dependencies."""
    rebuilt = [layer for layer in layers if not layer.cached]
    total = f"{len(layers)} layer{'s' * (len(layers) != 1)}"
    if not layers or layers[0].cached is None:
        return
    if not rebuilt:
        yield "Layers", f"{total} cached: nothing was installed"
        return
    packages = [package for layer in rebuilt for package in layer.packages or ()]
    reused = sum(package.reused for package in packages)
    installed = len(packages) - reused
    counts = f"{installed} package{'s' * (installed != 1)} installed"
    counts += f", {reused} reused" if reused else ""
    if len(rebuilt) == len(layers):
        yield "Layers", f"{total} built: {counts}"
        return
    start = f"{len(rebuilt)} of {total} rebuilt ("
    end = f"): {counts}"
    names = fitting([layer.name for layer in rebuilt], _WIDTH - _TITLE - len(start) - len(end))
    yield "Layers", f"{start}{names}{end}"


def _steps(steps: Sequence[RunStep]) -> Iterator[tuple[str, str]]:
    """Yield the commands of `run`."""
    for step in steps:
        state = ", cached" if step.cached else ""
        yield "Step", _one_line(f"{step.name}{state}: {step.command}")


def _size(summary: Summary) -> str:
    if summary.size is None:
        return ""
    together = f" for {summary.platforms} platforms" if summary.platforms > 1 else ""
    return f"{megabytes(summary.size)} compressed{together}, "


def _one_line(command: str) -> str:
    text = " ".join(command.split())
    width = _WIDTH - _TITLE
    return text if len(text) <= width else f"{text[: width - 1]}…"


def as_data(summary: Summary) -> dict[str, Any]:
    """Return the summary for the metadata file; its keys are documented in docs/summary.md."""
    layers, base = summary.layers, summary.base
    return {
        "layers": None if layers is None else [_layer_data(layer) for layer in layers],
        "steps": list(map(asdict, summary.steps)),
        "seconds": round(summary.seconds, 3),
        "tags": list(summary.tags),
        "digest": summary.digest,
        "size": summary.size,
        "push_seconds": summary.push_seconds and round(summary.push_seconds, 3),
        "base": base and {"image": base.image, "digest": base.digest},
    }


def _layer_data(layer: Layer) -> dict[str, Any]:
    packages = layer.packages
    return {
        "name": layer.name,
        "cached": layer.cached,
        "packages": None if packages is None else list(map(asdict, packages)),
    }
