"""Write what is to be installed, and nothing else: the cache keys of the dependency layers."""
