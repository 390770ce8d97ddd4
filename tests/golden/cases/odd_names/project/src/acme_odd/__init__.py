"""An odd package."""
