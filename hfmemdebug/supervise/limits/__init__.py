"""Runs commands under a memory limit, by whichever mechanism works here."""
