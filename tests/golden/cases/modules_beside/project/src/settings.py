"""What the shop imports, and its wheel lacks."""

from database.urls import URL  # type: ignore[import-not-found]

__all__ = ["URL"]
