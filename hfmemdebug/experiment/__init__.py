"""Arms, the child processes that run them, and their supervision."""
