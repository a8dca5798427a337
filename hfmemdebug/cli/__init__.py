"""The command line: reads options, calls, renders. No measuring and no judging here."""

from hfmemdebug.cli.app import main

__all__ = ["main"]
