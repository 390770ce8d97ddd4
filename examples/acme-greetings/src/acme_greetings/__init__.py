"""How the Acme company greets its customers."""

from importlib.metadata import version

__version__ = version("acme-greetings")


def greeting(name: str) -> str:
    """Greet somebody by name."""
    return f"Acme welcomes {name}."
