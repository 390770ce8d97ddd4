"""The API, which hands work to the worker."""

from flask import Flask, request

from orders.tasks import total

app = Flask(__name__)


@app.get("/health")
def health() -> dict[str, str]:
    """Say that the API runs."""
    return {"status": "ok"}


@app.post("/orders")
def order() -> dict[str, str]:
    """Queue an order."""
    return {"task": total.delay(request.get_json()["prices"]).id}
