"""What goes into somebody else's Python program: the standard library alone, CPython 3.8 and later."""
