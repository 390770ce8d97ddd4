"""Writes an `ImagePlan` as text: Dockerfile, ignore file, bake file and CI files.

Pure but for reading templates: the same plan gives the same bytes.
"""
