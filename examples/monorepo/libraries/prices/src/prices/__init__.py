"""Prices."""


def with_tax(net: int) -> float:
    """Add tax."""
    return round(net * 1.19, 2)
