"""Images in registries: logins, requests, manifests and blobs."""
