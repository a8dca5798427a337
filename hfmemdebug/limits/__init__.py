"""Commands under a memory limit: which mechanisms there are, which works here, and how a run ended."""
