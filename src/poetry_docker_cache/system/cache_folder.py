"""The plugin's own folder for what it remembers on this machine."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def cache_folder() -> Path:
    """Return the folder, which may not exist. Raises RuntimeError for a user without a home."""
    name = "poetry-docker-cache"
    if sys.platform == "win32" and (local := os.environ.get("LOCALAPPDATA")):
        return Path(local, name, "Cache")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / name
    cache = os.environ.get("XDG_CACHE_HOME", "")
    return Path(cache if Path(cache).is_absolute() else Path.home() / ".cache") / name
