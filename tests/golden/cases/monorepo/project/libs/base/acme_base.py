"""The base of all."""
