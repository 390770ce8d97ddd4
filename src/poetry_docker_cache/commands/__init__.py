"""The commands: the only place where steps with effects are put in sequence."""
