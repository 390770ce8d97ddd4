"""A tool of those who work on the shop."""


def main() -> None:
    """Do nothing."""
