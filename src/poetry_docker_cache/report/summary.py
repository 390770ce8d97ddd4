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
    """None if unknown."""
    reused: bool = False
    """Whether it was taken over from an earlier image, rather than installed (`reuse-image`)."""


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A layer of dependencies, and whether this build had to install it."""

    name: str
    cached: bool
    packages: tuple[Package, ...] | None
    """None if unknown: a cached layer of a Dockerfile that may not be ours."""


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What a build did. None is what the engine did not say."""

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
    return [f"{each.name} {each.version}" for each in layer.packages or () if not each.reused]


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


# Each fact of a request under the names that OpenTelemetry has had for it, the newer one first.
_METHOD = ("http.request.method", "http.method")
_URL = ("url.full", "http.url")
_STATUS = ("http.response.status_code", "http.status_code")
_CREATED = 201


def blobs(manifests: Sequence[str]) -> dict[str, int] | None:
    """The sizes of an image's configurations and compressed layers, by digest.

    A manifest for each platform; None if one is not a manifest.
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
    """A number as `docker image inspect` prints it."""
    return int(text) if text.strip().isdecimal() else None


def pushed(trace: str, sizes: Mapping[str, int], names: str) -> int | None:
    """The bytes of an image that BuildKit's trace shows on their way.

    None if it shows no push, or the `sizes` of what was sent are unknown. `names` are
    the image's, with commas, as buildx has them in its metadata. What a registry has already, or
    takes over from another of its repositories, is not sent. Attestations, a few kilobytes, and
    caches do not count.
    """
    repositories = {_repository(name) for name in names.split(",") if name}
    sent: set[tuple[str, str, str]] = set()
    seen = False
    for facts in _requests(trace):
        url = urllib.parse.urlsplit(str(_first(facts, _URL)))
        repository = _pushed_to(url.path)
        if _first(facts, _METHOD) != "PUT" or repository not in repositories:
            continue
        seen = True  # a manifest at least
        if _first(facts, _STATUS) == _CREATED:
            digests = urllib.parse.parse_qs(url.query).get("digest", [])
            sent.update((url.netloc, repository, name) for name in digests if name in sizes)
    return sum(sizes[digest] for *_, digest in sent) if seen and sizes else None


def _repository(name: str) -> str:
    """The repository in a whole name, without the registry."""
    path = name.partition("@")[0].partition("/")[2]
    return path.rpartition(":")[0] or path


def _pushed_to(path: str) -> str | None:
    for part in ("/blobs/uploads/", "/manifests/"):
        if path.startswith("/v2/") and part in path:
            return path.removeprefix("/v2/").rpartition(part)[0]
    return None


def _requests(trace: str) -> Iterator[dict[str, Any]]:
    """The attributes of each span: JSON objects that follow each other."""
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


# "[pure-1 1/1] RUN …", with the platform before the stage where there are several; behind it, in
# one of several images, those that have the layer.
_STEP = re.compile(
    r"\[(?:\S+ )?((?:dependencies|source|direct|pure-\d+|native-\d+|own-[^\s.]+)(?:\.\S+)?)"
    r" +\d+/\d+\] RUN ",
    re.DOTALL,
)
# The plugin's own words ("Installed") and Poetry's; the version may have a commit behind it.
_INSTALLED = re.compile(r"^ +[-•] (?:Installed|Installing) (\S+) \(([^\s)]+)", re.MULTILINE)
_REUSED = re.compile(r"^ +- Reused (\S+), from ", re.MULTILINE)


@dataclass
class _Steps:
    """What the record says about the build's steps, by their digests."""

    names: dict[str, str] = field(default_factory=dict)
    """The layer that a step installs, of those that install one."""
    ended: set[str] = field(default_factory=set)
    """Those that came to their end.

    BuildKit begins others, and gives them up when it finds a result that needs none of them.
    """
    cached: set[str] = field(default_factory=set)
    """Those whose result was there; it may be unpacked later, which is recorded as if they ran."""
    output: dict[str, bytes] = field(default_factory=lambda: defaultdict(bytes))

    def read(self, status: Mapping[str, Any]) -> None:
        """Add what one line of the record says."""
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
    """The layers of dependencies in a record in BuildKit's `rawjson`.

    None for anything but a record, such as the help that an old buildx shows for `history`.
    `known` are the layers as they were planned, each with what it may hold. What a rebuilt layer
    really installed, the record says itself.
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
    """The lines that are BuildKit's; what the client says besides is passed over."""
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
    """What a step says that it put in place."""
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
