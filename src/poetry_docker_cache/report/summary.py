"""The summary of a build: layers, packages, sizes and bytes pushed, as text and as data."""

from __future__ import annotations

import base64
import binascii
import json
import re
import urllib.parse
from collections import defaultdict
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from poetry_docker_cache.text import megabytes

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from poetry_docker_cache.report.base_age import Base

KEY = "poetry-docker-cache"
"""The key of the summary in the metadata file."""

_NAMED = 3
"""At most so many rebuilt layers are listed with their packages, more by name only."""
_WIDTH = 60
_MINUTE = 60


@dataclass(frozen=True, kw_only=True)
class Package:
    """A locked package."""

    name: str
    version: str | None
    """None if unknown."""
    reused: bool = False
    """Whether it was copied from an earlier image (`reuse-image`) instead of installed."""


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A layer of dependencies, and whether this build had to install it."""

    name: str
    cached: bool
    packages: tuple[Package, ...] | None
    """None if unknown, for a cached layer of a vendored Dockerfile."""


@dataclass(frozen=True, kw_only=True)
class Summary:
    """The result of a build; a value is None if docker does not provide it."""

    seconds: float
    tags: tuple[str, ...]
    layers: tuple[Layer, ...] | None = None
    digest: str | None = None
    size: int | None = None
    """The bytes of the compressed layers, as stored in a registry and pulled."""
    platforms: int = 1
    """The number of platforms that `size` includes."""
    unpacked: int | None = None
    """The image's bytes on disk, if the engine keeps no compressed layers."""
    pushed: int | None = None
    """The bytes sent to registries, without layers that they already have."""
    base: Base | None = None


def lines(summary: Summary) -> list[tuple[str, str]]:
    """Return the lines to print, at most seven, as title and text."""
    found = [*_dependencies(summary.layers)] if summary.layers else []
    if summary.base:
        found.append(("Base", summary.base.text()))
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
    """Return the summary for the metadata file; its keys are documented in docs/summary.md."""
    layers = summary.layers
    return {
        "layers": None if layers is None else [_layer_data(layer) for layer in layers],
        "seconds": round(summary.seconds, 3),
        "tags": list(summary.tags),
        "digest": summary.digest,
        "size": summary.size,
        "unpacked": summary.unpacked,
        "pushed": summary.pushed,
        "base": summary.base and summary.base.data(),
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
    """Return the installed packages with their versions."""
    return [f"{each.name} {each.version}" for each in layer.packages or () if not each.reused]


def _shortened(words: Sequence[str]) -> str:
    """Join as many words as fit on a line, and count the others."""
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


# OpenTelemetry's names of a request's attributes, the newer one first.
_METHOD = ("http.request.method", "http.method")
_URL = ("url.full", "http.url")
_STATUS = ("http.response.status_code", "http.status_code")
_CREATED = 201


def blobs(manifests: Sequence[str]) -> dict[str, int] | None:
    """Return the sizes of an image's configurations and compressed layers, by digest.

    `manifests` has one manifest for each platform. None if one is not valid.
    """
    found: dict[str, int] = {}
    for text in manifests:
        try:
            manifest = json.loads(text)
        except ValueError:
            return None
        if not isinstance(manifest, dict) or not isinstance(manifest.get("layers"), list):
            return None
        for part in (manifest.get("config"), *manifest["layers"]):
            if isinstance(part, dict) and isinstance(part.get("size"), int):
                found[str(part.get("digest"))] = part["size"]
    return found or None


def bytes_of(text: str) -> int | None:
    """Parse a size that `docker image inspect` prints; None if it is not a number."""
    return int(text) if text.strip().isdecimal() else None


def pushed(trace: str, sizes: Mapping[str, int], names: str) -> int | None:
    """Return how many bytes of an image were pushed, according to BuildKit's trace.

    None if the trace has no push, or without `sizes`. `names` are those of the image, separated by
    commas, from buildx's metadata. Layers that the registry already has, in this or another
    repository, are not sent. Caches and attestations (a few kilobytes) do not count.
    """
    repositories = {_repository(name) for name in names.split(",") if name}
    sent: set[tuple[str, str, str]] = set()
    seen = False
    for facts in _requests(trace):
        url = urllib.parse.urlsplit(str(_first(facts, _URL)))
        repository = _pushed_to(url.path)
        if _first(facts, _METHOD) != "PUT" or repository not in repositories:
            continue
        seen = True  # at least a manifest is always sent
        if _first(facts, _STATUS) == _CREATED:
            digests = urllib.parse.parse_qs(url.query).get("digest", [])
            sent.update((url.netloc, repository, name) for name in digests if name in sizes)
    return sum(sizes[digest] for *_, digest in sent) if seen and sizes else None


def _repository(name: str) -> str:
    """Return the repository in a full image name, without the registry."""
    path = name.partition("@")[0].partition("/")[2]
    return path.rpartition(":")[0] or path


def _pushed_to(path: str) -> str | None:
    for part in ("/blobs/uploads/", "/manifests/"):
        if path.startswith("/v2/") and part in path:
            return path.removeprefix("/v2/").rpartition(part)[0]
    return None


def _requests(trace: str) -> Iterator[dict[str, Any]]:
    """Yield the attributes of each span in a sequence of JSON objects."""
    decoder = json.JSONDecoder()
    position = 0
    while position < len(trace):
        try:
            span, position = decoder.raw_decode(trace, position)
        except ValueError:
            return
        while position < len(trace) and trace[position].isspace():
            position += 1
        attributes = span.get("Attributes") if isinstance(span, dict) else None
        if isinstance(attributes, list):
            yield {
                str(attribute.get("Key")): attribute["Value"].get("Value")
                for attribute in attributes
                if isinstance(attribute, dict) and isinstance(attribute.get("Value"), dict)
            }


def _first(facts: Mapping[str, Any], names: Collection[str]) -> object:
    return next((facts[name] for name in names if name in facts), None)


# "[pure-1 1/1] RUN …". For several platforms, the platform comes first. For several images, the
# images that share the layer follow its name.
_STEP = re.compile(
    r"\[(?:\S+ )?((?:dependencies|source|direct|pure-\d+|native-\d+|own-[^\s.]+)(?:\.\S+)?)"
    r" +\d+/\d+\] RUN ",
    re.DOTALL,
)
# Printed by our scripts ("Installed") and Poetry; a commit may follow the version.
_INSTALLED = re.compile(r"^ +[-•] (?:Installed|Installing) (\S+) \(([^\s)]+)", re.MULTILINE)
_REUSED = re.compile(r"^ +- Reused (\S+), from ", re.MULTILINE)


@dataclass
class _Steps:
    """The steps in the record of a build, by digest."""

    names: dict[str, str] = field(default_factory=dict)
    """The name of the layer, for steps that install one."""
    ended: set[str] = field(default_factory=set)
    """The completed steps.

    BuildKit cancels a running step when it finds a cached result that makes it unnecessary.
    """
    cached: set[str] = field(default_factory=set)
    """The cached steps. If the result is unpacked later, the record looks as if they ran."""
    output: dict[str, bytes] = field(default_factory=lambda: defaultdict(bytes))

    def read(self, status: Mapping[str, Any]) -> None:
        """Add one line of the record."""
        for vertex in _objects(status, "vertexes"):
            digest = str(vertex.get("digest"))
            if match := _STEP.match(str(vertex.get("name"))):
                self.names[digest] = match[1]
            if vertex.get("cached"):
                self.cached.add(digest)
            if vertex.get("completed") and "context canceled" not in str(vertex.get("error")):
                self.ended.add(digest)
        for part in _objects(status, "logs"):
            self.output[str(part.get("vertex"))] += _decoded(part.get("data"))


def read_layers(
    text: str, known: Mapping[str, Sequence[Package]] | None = None
) -> tuple[Layer, ...] | None:
    """Return the layers of dependencies in a record in BuildKit's `rawjson` format.

    None for any other text, such as the help that an old buildx prints for `history`. `known` are
    the planned layers with the packages that each may contain. What a rebuilt layer really
    installed is read from the record.
    """
    known = known or {}
    steps = _Steps()
    statuses = list(_statuses(text))
    for status in statuses:
        steps.read(status)
    if not statuses:
        return None
    installed: dict[str, set[Package]] = {}
    for step, name in steps.names.items():
        if step in steps.ended - steps.cached:
            output = steps.output[step].decode(errors="replace")
            installed.setdefault(name, set()).update(_packages(output, known.get(name, ())))
    names = {*steps.names.values()}
    return tuple(
        Layer(
            name=name,
            cached=name not in installed,
            packages=_sorted(installed.get(name, known.get(name))),
        )
        for name in [*(name for name in known if name in names), *sorted(names - {*known})]
    )


def _statuses(text: str) -> Iterator[dict[str, Any]]:
    """Yield BuildKit's lines; skip what the client prints between them."""
    for line in text.splitlines():
        if line.startswith("{"):
            try:
                status = json.loads(line)
            except ValueError:
                continue
            if isinstance(status, dict):
                yield status


def _objects(status: Mapping[str, Any], key: str) -> Iterator[dict[str, Any]]:
    found = status.get(key)
    yield from (item for item in found if isinstance(item, dict)) if isinstance(found, list) else ()


def _decoded(data: object) -> bytes:
    try:
        return base64.b64decode(str(data))
    except (binascii.Error, ValueError):
        return b""


def _packages(output: str, known: Sequence[Package]) -> Iterator[Package]:
    """Yield the packages that a step installed or reused, according to its output."""
    for name, version in _INSTALLED.findall(output):
        yield Package(name=str(canonicalize_name(name)), version=version)
    for name in map(canonicalize_name, _REUSED.findall(output)):
        versions = [package.version for package in known if package.name == name]
        version = versions[0] if len(versions) == 1 else None
        yield Package(name=str(name), version=version, reused=True)


def _sorted(packages: Sequence[Package] | set[Package] | None) -> tuple[Package, ...] | None:
    if packages is None:
        return None
    return tuple(sorted(packages, key=lambda package: (package.name, package.version or "")))
