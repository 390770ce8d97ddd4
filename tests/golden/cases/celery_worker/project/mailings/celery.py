"""The worker."""

from celery import Celery  # type: ignore[import-not-found]

app = Celery("mailings")
