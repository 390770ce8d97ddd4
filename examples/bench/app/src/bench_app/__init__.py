"""The project that every Dockerfile of the benchmark builds an image of."""

GREETING = "Hello"
