"""Scripts that run inside the build: Python 3.9 or newer, standard library only."""
