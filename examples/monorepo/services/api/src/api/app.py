"""The web application."""

from flask import Flask
from prices import with_tax

app = Flask(__name__)


@app.get("/price/<int:net>")
def price(net: int) -> dict[str, float]:
    """Return the price with tax."""
    return {"price": with_tax(net)}
