"""What an image holds, from the lock file: packages, their sources and dependencies; CycloneDX.

Pure: it reads no file and holds no credential.
"""
