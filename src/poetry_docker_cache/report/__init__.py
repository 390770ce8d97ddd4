"""Says what a build did: the summary, the metadata file and the table of layers.

It only reads what BuildKit left behind.
"""
