"""Decides what the image is: project and settings in, an `ImagePlan` and its notes out.

Pure: it imports no Poetry, reads no file but this release's pins, and holds no credential.
"""
