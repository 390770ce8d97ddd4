"""A web API that greets people."""
