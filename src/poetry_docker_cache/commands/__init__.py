"""The commands `poetry docker build`, `export` and `layers`, and the options that they share.

The only folder that puts steps with effects in sequence.
"""
