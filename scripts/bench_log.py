"""Read the packages that a build installed, and the blobs that were pushed and pulled."""

from __future__ import annotations

import json
import re
import urllib.parse
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# In BuildKit's plain progress output, a line starts with the step's number and the seconds.
# The plugin prints "  - Installed NAME (VERSION)", Poetry "  - Installing NAME (VERSION)", and uv
# " + NAME==VERSION". They print another form for the project itself, which does not count.
_INSTALLED = re.compile(
    r"^#\d+ [\d.]+ +(?:- Install(?:ed|ing) ([\w.-]+) \(|\+ ([\w.-]+)==\S+$)", re.MULTILINE
)
_UPLOADED = re.compile(r"^/v2/.+/blobs/uploads/")
_BLOB = re.compile(r"^/v2/.+/blobs/sha256:[0-9a-f]{64}$")


def installed(log: str) -> frozenset[str]:
    """Return the names of the installed packages in a log of plain progress output."""
    names = (plain or uv for plain, uv in _INSTALLED.findall(log.replace("\r", "")))
    return frozenset(re.sub(r"[-_.]+", "-", name).lower() for name in names)


def made(metadata: str) -> int:
    """Return how many packages are in layers that were made, from the file of a build's result."""
    layers = json.loads(metadata)["poetry-docker-cache"]["layers"]
    return sum(len(layer["packages"]) for layer in layers if not layer["cached"])


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """The blobs that were pushed to a registry and pulled from it, without manifests."""

    blobs: int
    """The number of pushed blobs: layers, and small ones that describe an image."""
    pushed: int
    """The bytes of the pushed blobs."""
    pulled: int
    """The bytes of the pulled blobs."""


def traffic(lines: Iterable[str], size: Callable[[str], int]) -> Traffic:
    """Add up the requests in docker-registry's JSON log; `size` returns the bytes of a digest.

    A blob that the repository has, or mounts from another one, is not uploaded and does not count.
    """
    pushed: set[str] = set()
    pulled = 0
    for line in lines:
        if not line.startswith("{"):
            continue
        entry = json.loads(line)
        url = urllib.parse.urlsplit(entry.get("http.request.uri", ""))
        method, status = entry.get("http.request.method"), entry.get("http.response.status", 0)
        if method == "PUT" and status == 201 and _UPLOADED.match(url.path):  # noqa: PLR2004
            pushed.update(urllib.parse.parse_qs(url.query).get("digest", ()))
        elif method == "GET" and _BLOB.match(url.path):
            pulled += entry.get("http.response.written", 0)
    return Traffic(blobs=len(pushed), pushed=sum(map(size, pushed)), pulled=pulled)
