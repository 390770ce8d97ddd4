"""Settings from a Dockerfile written by hand: `poetry docker init`. Pure, without I/O.

`stages` divides the Dockerfile, `image_reader` and the modules below it translate each instruction,
`proposal` makes a table of settings, `findings` and `differences` describe the old and new image.
"""
