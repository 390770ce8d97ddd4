"""Scripts that run inside the build, embedded into the Dockerfile; standard library only."""
