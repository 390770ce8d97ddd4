"""Reads how large an image is, and how much of it went to registries."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def compressed_size(manifest: str) -> int | None:
    """The bytes of an image's layers and configuration; None for what is no manifest."""
    try:
        found = json.loads(manifest)
    except ValueError:
        return None
    if not isinstance(found, dict) or not isinstance(found.get("layers"), list):
        return None
    return sum(map(_size, [found.get("config"), *found["layers"]]))


def _size(descriptor: Mapping[str, Any] | None) -> int:
    size = descriptor.get("size") if isinstance(descriptor, dict) else None
    return size if isinstance(size, int) else 0
