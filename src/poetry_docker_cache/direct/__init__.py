"""Images without a container engine: wheels become layers, and layers go to a registry.

`wheel` reads wheels into a `tree`, and `layer` writes a tree as a layer of an image.
"""
