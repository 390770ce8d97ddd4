"""What an API takes."""
