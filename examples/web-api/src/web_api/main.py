"""The application, and the command that serves it."""

import os
from importlib.metadata import version

import acme_greetings
import uvicorn
from fastapi import FastAPI

VERSION = version("web-api")

app = FastAPI(title="web-api", version=VERSION)


@app.get("/")
def greet(name: str = "world") -> dict[str, str]:
    """Return the company's greeting."""
    return {"message": acme_greetings.greeting(name)}


@app.get("/health")
def health() -> dict[str, str]:
    """Return the status of the service, and versions."""
    return {
        "status": "ok",
        "version": VERSION,
        "acme-greetings": acme_greetings.__version__,
    }


def run() -> None:
    """Serve on all addresses of the container or machine."""
    host = os.environ.get("HOST", "0.0.0.0")
    uvicorn.run(app, host=host, port=int(os.environ.get("PORT", "8000")))
