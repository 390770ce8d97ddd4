"""How what an image holds differs from what the project installs now. Pure.

It imports neither Poetry nor the network, and reads no file.
"""
