"""Make images without a container engine: wheels are fetched, unpacked and pushed as layers."""
