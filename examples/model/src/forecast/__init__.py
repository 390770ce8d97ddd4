"""A forecast of sales."""
