"""Images as they are stored: in the engine, in a registry or in an archive. Nothing is run."""
