"""Reads a Poetry project: metadata, lock file, sources, credentials and its root package.

The only folder that imports Poetry, besides the commands; the rest of the package gets plain data.
"""
