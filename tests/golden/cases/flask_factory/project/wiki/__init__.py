"""A wiki."""

from flask import Flask  # type: ignore[import-not-found]


def create_app(name: str = "wiki") -> object:
    """Make the application."""
    return Flask(name)
