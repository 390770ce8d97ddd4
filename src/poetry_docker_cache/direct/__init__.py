"""Images without a container engine: from wheels to layers, and from there to a registry."""
