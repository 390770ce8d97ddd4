"""A function that AWS Lambda calls."""


def handler(event: dict[str, int], _context: object) -> dict[str, int]:
    """Return half the size."""
    return {"width": event["width"] // 2}
