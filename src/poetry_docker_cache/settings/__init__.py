"""`[tool.poetry-docker-cache]` of pyproject.toml: its keys, their values and their errors.

Pure: `table` defines each setting once and parses the table; `image_tables` parses the tables of
several images.
"""
