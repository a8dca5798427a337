"""The command line: reads options, calls, renders. No measuring and no judging here."""

from __future__ import annotations

import signal

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> None:
    """Runs the command line and ends the process with the status of the contract."""
    # Until `run` is there to answer a Ctrl-C with a line, it ends this process as it ends any program;
    # Python would show where in the imports it came.
    answered = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if answered:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from hfmemdebug.cli.app import main as run

    if answered:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    run(arguments)
