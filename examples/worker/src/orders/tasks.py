"""The tasks of the worker."""

import os

from celery import Celery

app = Celery("orders", broker=os.environ.get("BROKER", "memory://"))


@app.task
def total(prices: list[int]) -> int:
    """Add up the prices of an order."""
    return sum(prices)
