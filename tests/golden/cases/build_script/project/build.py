"""Compiles."""
