"""The commands `poetry docker build`, `export` and `layers`, and the options that they share.

Only this folder runs steps with side effects, in sequence.
"""
