"""Iterates a dataset: slices, warm-up, epochs, the user's consumer, settling."""
