"""What a build's log and a registry's log tell: packages installed, blobs and bytes that moved."""

from __future__ import annotations

import json
import re
import urllib.parse
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# In BuildKit's plain progress a line of a step's output starts with the step and the second.
# The plugin says "  - Installed NAME (VERSION)", Poetry "  - Installing NAME (VERSION)" and uv
# " + NAME==VERSION"; the project itself, which both name in another form, does not count.
_INSTALLED = re.compile(
    r"^#\d+ [\d.]+ +(?:- Install(?:ed|ing) ([\w.-]+) \(|\+ ([\w.-]+)==\S+$)", re.MULTILINE
)
_UPLOADED = re.compile(r"^/v2/.+/blobs/uploads/")
_BLOB = re.compile(r"^/v2/.+/blobs/sha256:[0-9a-f]{64}$")


def installed(log: str) -> frozenset[str]:
    """Name the packages that a log in BuildKit's plain form shows to have been installed."""
    names = (plain or uv for plain, uv in _INSTALLED.findall(log.replace("\r", "")))
    return frozenset(re.sub(r"[-_.]+", "-", name).lower() for name in names)


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """What went to a registry and came from it, in blobs; manifests are left out."""

    blobs: int
    """How many were pushed: layers and the small ones that describe an image."""
    pushed: int
    """Their bytes."""
    pulled: int
    """Bytes of the blobs that were fetched."""


def traffic(lines: Iterable[str], size: Callable[[str], int]) -> Traffic:
    """Add up the answers in the log of docker-registry, in JSON; `size` knows a digest's bytes.

    A blob that the repository has, or takes from another one, is not uploaded and does not count.
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
