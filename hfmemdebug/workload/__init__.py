"""What is iterated and how: slices, warm-up, epochs, the user's consumer, settling."""
