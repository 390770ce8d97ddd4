"""What all services share."""

__version__ = "3.0"
