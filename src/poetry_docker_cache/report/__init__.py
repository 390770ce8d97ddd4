"""The report of a build: the summary and the metadata file.

It is made from what BuildKit has recorded.
"""
