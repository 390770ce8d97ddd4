"""Its address."""

URL = "sqlite://"
