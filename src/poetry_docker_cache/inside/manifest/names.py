"""Names of packages, groups and extras."""

from __future__ import annotations

import re


def canonical(name: str) -> str:
    """Normalise the name of a package, group or extra (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
