"""The machine that runs the plugin: paths, private files, locks and signals.

Nothing here knows what a Dockerfile or a Poetry project is.
"""
