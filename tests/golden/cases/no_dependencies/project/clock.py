"""Print the time."""
