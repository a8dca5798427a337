"""Where leaked memory was allocated, and what keeps it alive."""
