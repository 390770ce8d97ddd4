"""`[tool.poetry-docker-cache]` of pyproject.toml: its keys, their values and their errors.

Pure: `keys` defines each setting once, and `table` parses the whole table.
"""
