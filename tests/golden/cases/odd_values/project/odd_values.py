"""Odd values."""
