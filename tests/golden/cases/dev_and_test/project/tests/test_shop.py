"""Tests of the application."""


def test_nothing() -> None:
    """Nothing to test."""
