"""Measures: arms in processes of their own, whole programs, loops from within, live processes."""
