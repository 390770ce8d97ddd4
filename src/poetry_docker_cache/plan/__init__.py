"""Decides what the image is: project and settings in, an `ImagePlan` and its notes out.

Pure: it imports no Poetry, reads no file and holds no credential.
"""
