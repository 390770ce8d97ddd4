"""A board."""
