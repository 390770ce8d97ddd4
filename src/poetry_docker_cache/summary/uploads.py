"""Reads from BuildKit's trace of a build how many bytes went to registries. Pure."""

from __future__ import annotations

import json
import urllib.parse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# Each fact under the names that OpenTelemetry has had for it, the newer one first.
_METHOD = ("http.request.method", "http.method")
_URL = ("url.full", "http.url")
_SIZE = ("http.request.body.size", "http.request_content_length")


def uploaded(trace: str) -> int | None:
    """The bytes of the blobs that were sent; None where the trace tells of no push.

    What a registry has, or takes over from another of its repositories, is not sent.
    """
    sizes: dict[tuple[str, str, str], int] = {}
    told = False
    for facts in _requests(trace):
        url = urllib.parse.urlsplit(str(_first(facts, _URL)))
        if _first(facts, _METHOD) != "PUT" or not url.path.startswith("/v2/"):
            continue
        told = True  # a manifest at least
        size = _first(facts, _SIZE)
        digest = urllib.parse.parse_qs(url.query).get("digest")
        if digest and isinstance(size, int):
            # A request may have two spans: its own, and that of the connection below.
            sizes[url.netloc, url.path, digest[0]] = size
    return sum(sizes.values()) if told else None


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
                str(it.get("Key")): (it.get("Value") or {}).get("Value")
                for it in attributes
                if isinstance(it, dict) and isinstance(it.get("Value"), dict)
            }


def _first(facts: Mapping[str, Any], names: tuple[str, ...]) -> object:
    return next((facts[name] for name in names if name in facts), None)
