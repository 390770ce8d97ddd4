"""Images from wheels, without a container engine."""
