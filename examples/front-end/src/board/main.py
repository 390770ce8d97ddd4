"""The API, and the front end from the working directory."""

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

app = FastAPI()


@app.get("/api/notes")
def notes() -> list[str]:
    """Return the notes."""
    return ["Water the plants"]


app.mount("/", StaticFiles(directory="static", html=True))
