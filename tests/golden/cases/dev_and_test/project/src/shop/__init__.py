"""Part of a golden case."""
