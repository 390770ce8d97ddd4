"""Reads how large an image is, and how much of it went to registries. Pure."""

from __future__ import annotations

import json
import urllib.parse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

# Each fact of a request under the names that OpenTelemetry has had for it, the newer one first.
_METHOD = ("http.request.method", "http.method")
_URL = ("url.full", "http.url")
_STATUS = ("http.response.status_code", "http.status_code")
_CREATED = 201


def blobs(manifests: Sequence[str]) -> dict[str, int] | None:
    """The sizes of an image's configurations and compressed layers, by digest.

    A manifest for each platform; None where one is none.
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

    None where it shows no push, or where nobody knows the `sizes` of what was sent. `names` are
    the image's, with commas, as buildx has them in its metadata. What a registry has already, or
    takes over from another of its repositories, is not sent. Attestations, a few kilobytes, and
    caches do not count.
    """
    repositories = {_repository(name) for name in names.split(",") if name}
    sent: set[tuple[str, str, str]] = set()
    told = False
    for facts in _requests(trace):
        url = urllib.parse.urlsplit(str(_first(facts, _URL)))
        repository = _pushed_to(url.path)
        if _first(facts, _METHOD) != "PUT" or repository not in repositories:
            continue
        told = True  # a manifest at least
        if _first(facts, _STATUS) == _CREATED:
            digests = urllib.parse.parse_qs(url.query).get("digest", [])
            sent.update((url.netloc, repository, it) for it in digests if it in sizes)
    return sum(sizes[digest] for *_, digest in sent) if told and sizes else None


def _repository(name: str) -> str:
    """The repository that a whole name tells, without the registry."""
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
                str(it.get("Key")): it["Value"].get("Value")
                for it in attributes
                if isinstance(it, dict) and isinstance(it.get("Value"), dict)
            }


def _first(facts: Mapping[str, Any], names: Collection[str]) -> object:
    return next((facts[name] for name in names if name in facts), None)
