"""Greetings of the Acme company for its customers."""

from importlib.metadata import version

__version__ = version("acme-greetings")


def greeting(name: str) -> str:
    """Return a greeting with a name."""
    return f"Acme welcomes {name}."
