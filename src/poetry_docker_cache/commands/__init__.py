"""The commands `poetry docker build`, `export` and `layers`, and the options that they share.

Only they run steps with side effects, in sequence.
"""
