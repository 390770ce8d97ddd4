"""Tools of the project: a private container engine, a private package index, measurements."""
