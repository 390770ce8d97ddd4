"""Runs BuildKit through docker buildx: engine, command lines, caches, and the steps of a build.

The only package that starts docker.
"""
