"""A shop with two front ends."""
