"""What differs between the Pythons that Poetry runs on."""

from __future__ import annotations

import sys

if sys.version_info >= (3, 11):
    import tomllib
else:  # Poetry brings it there
    import tomli as tomllib

__all__ = ["tomllib"]
