"""The shop."""

import settings  # type: ignore[import-not-found]


def main() -> str:
    """Say where the goods are."""
    return str(settings.URL)
