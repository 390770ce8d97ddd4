"""The commands. Only they run steps with side effects, in sequence."""
