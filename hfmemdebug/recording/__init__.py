"""What was measured, and its file."""
