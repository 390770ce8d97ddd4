"""What runs in the build, on the image's own Python: it installs the dependencies and checks them.

Python 3.9 or newer, standard library only. `render.build_scripts` copies it to the folder
`Dockerfile.scripts`.
"""
