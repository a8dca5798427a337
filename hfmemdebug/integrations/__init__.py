"""Where people already look: pytest, the Trainer of transformers."""
