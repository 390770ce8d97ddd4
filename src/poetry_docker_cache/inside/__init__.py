"""What runs in the build, on the image's own Python: it installs the dependencies and checks them.

Standard library only. `render.build_scripts` makes the files of `Dockerfile.scripts/` from it.
"""
