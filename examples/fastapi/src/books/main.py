"""The API."""

from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()


class Book(BaseModel):
    """A book in the catalogue."""

    title: str
    year: int


BOOKS = {1: Book(title="The Left Hand of Darkness", year=1969)}


@app.get("/books/{number}")
def book(number: int) -> Book:
    """Return a book."""
    return BOOKS[number]
