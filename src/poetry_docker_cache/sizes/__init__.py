"""Sizes of packages, from an environment, an image or an index, and a better layer split.

Used by `poetry docker layers` only.
"""
