"""Modules that go into the Python program that is watched: the standard library alone, CPython 3.8 and later."""
