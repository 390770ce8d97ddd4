"""Reads BuildKit's record of a build: which layers of dependencies ran, and what they installed."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from poetry_docker_cache.summary import Layer, Package

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

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
    """What is told of the build's steps, by their digests."""

    names: dict[str, str] = field(default_factory=dict)
    """The layer that a step installs, of those that install one."""
    ended: set[str] = field(default_factory=set)
    """Those that came to their end.

    BuildKit begins others, and gives them up when it finds a result that needs none of them.
    """
    cached: set[str] = field(default_factory=set)
    """Those whose result was there; it may be unpacked later, which is told as if they ran."""
    output: dict[str, bytes] = field(default_factory=lambda: defaultdict(bytes))

    def read(self, status: Mapping[str, Any]) -> None:
        """Add what one line of the record tells."""
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
    """The layers of dependencies that a record in BuildKit's `rawjson` tells of.

    None for what is no record, such as the help that an old buildx shows for `history`.
    `known` are the layers as they were planned, each with what it may hold. What a rebuilt layer
    really installed, the record tells itself.
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
        for name in [*(it for it in known if it in names), *sorted(names - {*known})]
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
    yield from (it for it in found if isinstance(it, dict)) if isinstance(found, list) else ()


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
