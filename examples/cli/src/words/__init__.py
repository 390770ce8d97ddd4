"""A tool that counts words."""
