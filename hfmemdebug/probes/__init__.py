"""Reads the operating system: one source of numbers each, one parser for each text of /proc."""
