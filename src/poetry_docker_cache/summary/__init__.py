"""What `poetry docker build` says when BuildKit has finished, for people and for machines. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from poetry_docker_cache.wording import megabytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

KEY = "poetry-docker-cache"
"""Ours, among those that buildx writes into its metadata file."""

_NAMED = 3
"""So many rebuilt layers are shown with their packages; of more, the names are enough."""
_WIDTH = 60
_MINUTE = 60


@dataclass(frozen=True, kw_only=True)
class Package:
    """A locked package."""

    name: str
    version: str | None
    """None where nobody told."""
    reused: bool = False
    """Whether it was taken over from an earlier image, rather than installed (`reuse-image`)."""


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A layer of dependencies, and whether this build had to install it."""

    name: str
    cached: bool
    packages: tuple[Package, ...] | None
    """None where nobody knows: a cached layer of a Dockerfile that may not be ours."""


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What a build did. None is what the engine did not tell."""

    seconds: float
    tags: tuple[str, ...]
    layers: tuple[Layer, ...] | None = None
    digest: str | None = None
    size: int | None = None
    """Bytes of the compressed layers, as a registry keeps them and a machine pulls them."""
    platforms: int = 1
    """So many are in the size together."""
    unpacked: int | None = None
    """Bytes that the image has on disk, where an engine keeps no compressed layers."""
    pushed: int | None = None
    """Bytes that went to registries; what they had already did not."""


def lines(summary: Summary) -> list[tuple[str, str]]:
    """The lines to show, each as its title and the rest; at most six."""
    found = [*_dependencies(summary.layers)] if summary.layers else []
    took = _duration(summary.seconds)
    if summary.digest is None:
        return [*found, ("Time", took)]
    together = f" for {summary.platforms} platforms" if summary.platforms > 1 else ""
    facts = [
        *([f"{megabytes(summary.size)} compressed{together}"] if summary.size is not None else []),
        *([f"{megabytes(summary.unpacked)} unpacked"] if summary.unpacked is not None else []),
        *([_pushed(summary.pushed)] if summary.pushed is not None else []),
        f"in {took}",
    ]
    first, *others = summary.tags or ("without a name",)
    more = f" and {len(others)} more" if others else ""
    found.append(("Image", f"{first}{more}: {', '.join(facts)}"))
    return [*found, ("Digest", summary.digest)]


def as_data(summary: Summary) -> dict[str, Any]:
    """What stands under our key in the metadata file; docs/summary.md documents the keys."""
    layers = summary.layers
    return {
        "layers": None if layers is None else [_layer_data(layer) for layer in layers],
        "seconds": round(summary.seconds, 3),
        "tags": list(summary.tags),
        "digest": summary.digest,
        "size": summary.size,
        "unpacked": summary.unpacked,
        "pushed": summary.pushed,
    }


def _layer_data(layer: Layer) -> dict[str, Any]:
    packages = layer.packages
    return {
        "name": layer.name,
        "cached": layer.cached,
        "packages": None if packages is None else list(map(asdict, packages)),
    }


def _dependencies(layers: Sequence[Layer]) -> Iterator[tuple[str, str]]:
    rebuilt = [layer for layer in layers if not layer.cached]
    total = f"{len(layers)} layer{'s' * (len(layers) != 1)}"
    if not rebuilt:
        yield "Dependencies", f"{total}, all cached: nothing was installed"
        return
    cached = len(layers) - len(rebuilt)
    yield "Dependencies", f"{total}, {cached} cached, {len(rebuilt)} rebuilt: {_counts(rebuilt)}"
    if len(rebuilt) <= _NAMED:
        for layer in rebuilt:
            yield f"  {layer.name}", _shortened(_installed(layer)) or "nothing installed"
    elif cached:
        yield "  rebuilt", _shortened([layer.name for layer in rebuilt])


def _counts(rebuilt: Sequence[Layer]) -> str:
    installed = sum(len(_installed(layer)) for layer in rebuilt)
    reused = sum(package.reused for layer in rebuilt for package in layer.packages or ())
    text = f"{installed} package{'s' * (installed != 1)} installed"
    return f"{text}, {reused} reused" if reused else text


def _installed(layer: Layer) -> list[str]:
    """The packages that were installed, with their versions."""
    return [f"{it.name} {it.version}" for it in layer.packages or () if not it.reused]


def _shortened(words: Sequence[str]) -> str:
    """As many of the words as a line holds, and how many more there are."""
    shown = 1
    while shown < len(words) and len(", ".join(words[: shown + 1])) <= _WIDTH:
        shown += 1
    more = len(words) - shown
    return ", ".join(words[:shown]) + (f" and {more} more" if more > 0 else "")


def _pushed(size: int) -> str:
    return f"{megabytes(size)} pushed" if size else "nothing to push"


def _duration(seconds: float) -> str:
    if seconds < _MINUTE:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), _MINUTE)
    return f"{minutes} min {rest} s"
