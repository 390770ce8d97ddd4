"""The media types of images and their parts: those of OCI, and Docker's older ones."""

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_EMPTY = "application/vnd.oci.empty.v1+json"
"""The configuration of a manifest that is not an image."""
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
"""A layer that is not compressed; the others have a suffix."""
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"

INDEXES = (OCI_INDEX, DOCKER_INDEX)
MANIFESTS = (*INDEXES, OCI_MANIFEST, DOCKER_MANIFEST)
"""All that a registry returns as a manifest."""
