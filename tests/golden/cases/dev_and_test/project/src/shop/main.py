"""The application."""

from fastapi import FastAPI  # type: ignore[import-not-found]

app = FastAPI()
