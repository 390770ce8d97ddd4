"""The application of the benchmark's images."""

GREETING = "Hello"
