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
    """Greet somebody in the company's words."""
    return {"message": acme_greetings.greeting(name)}


@app.get("/health")
def health() -> dict[str, str]:
    """Tell that the service is up, and what it is made of."""
    return {
        "status": "ok",
        "version": VERSION,
        "acme-greetings": acme_greetings.__version__,
    }


def run() -> None:
    """Serve on every address of the container, or of the machine."""
    host = os.environ.get("HOST", "0.0.0.0")
    uvicorn.run(app, host=host, port=int(os.environ.get("PORT", "8000")))
