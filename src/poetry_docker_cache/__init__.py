"""Poetry plugin that builds cache-optimised Docker images."""
