"""Write down what each layer installs, and nothing else: the cache keys of the layers."""
