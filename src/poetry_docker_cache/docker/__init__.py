"""Docker's own formats and names: image references, platforms, ignore patterns, Dockerfile syntax.

Pure functions that know nothing about Poetry or the project.
"""
