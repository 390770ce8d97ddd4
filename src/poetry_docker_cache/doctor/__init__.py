"""Checks of machine, project and image for `poetry docker doctor`, as data.

Each function judges what was found and returns checks. Only `source_checks` and `base_checks` also
ask servers.
"""
