"""Pure functions from recordings to a result."""
