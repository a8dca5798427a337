"""What `profile` and `diagnose` do alike around their experiments: the recording's folder, the result, the
exit status.
"""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from hfmemdebug.cli.console import Console
from hfmemdebug.cli.write import show_result, write_outputs
from hfmemdebug.errors import (
    EXIT_INCONCLUSIVE,
    EXIT_INTERRUPTED,
    EXIT_LEAK,
    EXIT_OK,
    EXIT_PROGRAM_FAILED,
    HfmemdebugError,
    ProgramFailed,
)

if TYPE_CHECKING:
    from hfmemdebug.measure.profile import Measured
    from hfmemdebug.result import Result


def measure(
    command: str,
    experiment: Callable[[Path], Measured],
    console: Console,
    outputs: Sequence[Path] | None,
    *,
    show_names: bool = False,
) -> int:
    """Runs an experiment, shows and writes its result, and returns the exit status.

    Args:
        command: ``profile`` or ``diagnose``.
        experiment: Measures into a folder.
        console: Where the result goes.
        outputs: The values of `-o`.
        show_names: Whether names of private datasets may be shown.
    """
    import json

    from hfmemdebug.analysis.verdict import judge
    from hfmemdebug.recording.store import end_run, new_run, recordings_of
    from hfmemdebug.render.redact import Redactor

    run = new_run(command, warn=console.warn)
    try:
        with signals_like_ctrl_c():
            measured = experiment(run)
        recordings = [recording for recording in measured.recordings if recording.slices]
        if not recordings:
            if measured.interrupted:
                raise ProgramFailed("nothing was measured: it was interrupted", EXIT_INTERRUPTED)
            if measured.unreadable is not None:
                raise measured.unreadable
            why = "; ".join(dict.fromkeys(measured.failures))
            if measured.timed_out:
                raise ProgramFailed(
                    f"nothing was measured: {why}",
                    EXIT_INCONCLUSIVE,
                    next="Loading alone takes seconds: give a larger --budget.",
                )
            raise ProgramFailed(f"nothing was measured: {why}", EXIT_PROGRAM_FAILED)
        result = judge(measured.recordings)
        unknown = [line for line in measured.failures if not any(line in known for known in result.warnings)]
        result = replace(result, interrupted=measured.interrupted, warnings=(*result.warnings, *unknown))
        (run / "result.json").write_text(json.dumps(result.to_dict(), ensure_ascii=False))
        redactor = Redactor.of_this_machine(show_names=show_names)
        show_result(result, console, recordings=recordings, paths=outputs, redactor=redactor)
        write_outputs(result, recordings, outputs, console, redactor=redactor)
        if not outputs:
            console.hint("For a GitHub issue: hfmemdebug report --last -o report.md")
    finally:
        end_run(run)
        if not recordings_of(run):
            # Nothing began: a folder without a recording would be taken for the newest run.
            shutil.rmtree(run, ignore_errors=True)
    return status_of(result, measured.unreadable)


@contextmanager
def signals_like_ctrl_c() -> Iterator[None]:
    """A polite end (SIGTERM) and a closed terminal (SIGHUP) keep what was measured, as Ctrl-C does."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def status_of(result: Result, unreadable: HfmemdebugError | None = None) -> int:
    """Returns the exit status of the contract.

    Args:
        result: What was found.
        unreadable: Why the data could not be read to their end, where that ended the measurement.
    """
    if result.interrupted:
        return EXIT_INTERRUPTED
    if result.verdict == "leak":
        return EXIT_LEAK
    if result.verdict == "no-leak":
        return EXIT_OK
    if unreadable is not None:
        return unreadable.exit_status
    died = any(arm.outcome in ("failed", "killed") for arm in result.arms)
    return EXIT_PROGRAM_FAILED if died else EXIT_INCONCLUSIVE


def typed_command(arguments: Sequence[str]) -> str:
    """The command line for the report, without what is private in it."""
    from hfmemdebug.render.redact import Redactor

    return Redactor.of_this_machine().command_line(["hfmemdebug", *arguments])
