"""The layout of what the plugin writes; see `packages` in pyproject.toml."""
