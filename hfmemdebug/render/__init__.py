"""Pure functions from results and recordings to text."""
