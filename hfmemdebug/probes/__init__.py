"""One source of numbers each; the only code that reads the operating system."""
