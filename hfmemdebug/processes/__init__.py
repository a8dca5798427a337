"""Process trees, live attachment, and supervision of somebody else's program."""
