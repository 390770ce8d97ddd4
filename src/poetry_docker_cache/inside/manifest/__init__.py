"""Write the manifests: files that list what each layer installs, and are its cache key."""
