"""The exception that says why a folder cannot be built into a wheel."""

from __future__ import annotations


class NoWheelError(Exception):
    """The reason why no wheel can be built."""
