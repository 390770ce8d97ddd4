"""Sells."""
