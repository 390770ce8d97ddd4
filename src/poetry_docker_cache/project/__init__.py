"""Reads a Poetry project: metadata, lock file, sources, credentials and its root package.

Only commands and `sizes` import Poetry as well; the rest of the package gets plain data.
"""
