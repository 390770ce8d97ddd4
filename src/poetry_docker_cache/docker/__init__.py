"""Docker's own formats and names: image references, platforms, ignore patterns, Dockerfile syntax.

Pure: it knows nothing about Poetry or about the project.
"""
