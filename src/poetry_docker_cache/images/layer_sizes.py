"""The sizes of the dependency layers of an image, by the names in its history."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from poetry_docker_cache.images.stored_image import StoredImage

_COPIED = re.compile(r"\bCOPY .*?/([^/\s]+)/\.\./venv /venv\b")


def layer_sizes(image: StoredImage) -> dict[str, int]:
    """Return the compressed bytes of each dependency layer; empty if they are unknown."""
    made = [
        str(step.get("created_by", ""))
        for step in image.config.get("history") or ()
        if not step.get("empty_layer")
    ]
    # From the top: an image may lack the history of its base.
    sizes = zip(reversed(made), reversed(image.stored_sizes), strict=False)
    named = ((_COPIED.search(step), size) for step, size in sizes)
    return {found[1]: size for found, size in named if found}
