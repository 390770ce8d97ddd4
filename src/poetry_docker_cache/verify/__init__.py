"""Checks of a built image's content for `poetry docker verify`. They read it, and run nothing."""
