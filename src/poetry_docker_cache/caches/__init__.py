"""Build caches as users name them in settings and options.

Pure: what an engine makes of them is decided in `buildx`.
"""
