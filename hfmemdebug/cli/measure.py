"""Measures for a command: the folder of the run, the answer, the exit status."""

from __future__ import annotations

import json
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from hfmemdebug.cli.output import Console, OutputOptions
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


def measure(command: str, experiment: Callable[[Path], Measured], output: OutputOptions) -> int:
    """Runs an experiment, shows and writes its result, and returns the exit status.

    Args:
        command: ``profile`` or ``diagnose``.
        experiment: Measures into a folder.
        output: Where the result goes.
    """
    from hfmemdebug.analysis.verdict import judge

    with kept_run(command, output.console) as folder:
        with signals_like_ctrl_c():
            measured = experiment(folder)
        recordings = [recording for recording in measured.recordings if recording.slices]
        if not recordings:
            raise _nothing_measured(measured)
        result = judge(measured.recordings)
        unknown = [line for line in measured.failures if not any(line in known for known in result.warnings)]
        result = replace(result, interrupted=measured.interrupted, warnings=(*result.warnings, *unknown))
        keep_result(folder, result)
        output.show(result, recordings)
        output.write(result, recordings)
        if not output.paths:
            output.console.hint("For a GitHub issue: hfmemdebug report --last -o report.md")
    return status_of(result, measured.unreadable)


def _nothing_measured(measured: Measured) -> HfmemdebugError:
    if measured.interrupted:
        return ProgramFailed("nothing was measured: it was interrupted", EXIT_INTERRUPTED)
    if measured.unreadable is not None:
        return measured.unreadable
    why = "; ".join(dict.fromkeys(measured.failures))
    if measured.timed_out:
        return ProgramFailed(
            f"nothing was measured: {why}",
            EXIT_INCONCLUSIVE,
            next="Loading alone takes seconds: give a larger --budget.",
        )
    return ProgramFailed(f"nothing was measured: {why}", EXIT_PROGRAM_FAILED)


@contextmanager
def kept_run(command: str, console: Console) -> Iterator[Path]:
    """Makes the folder in which a run is kept, and removes it again where nothing was recorded in it."""
    from hfmemdebug.recording.store import end_run, new_run, recordings_of

    folder = new_run(command, warn=console.warn)
    try:
        yield folder
    finally:
        end_run(folder)
        if not recordings_of(folder):
            # It would be taken for the newest run, and an old one be removed for it.
            shutil.rmtree(folder, ignore_errors=True)


def keep_result(folder: Path, result: Result) -> None:
    """Keeps the result beside its recordings, for `report --list`; without room for it the answer is still shown."""
    with suppress(OSError):
        (folder / "result.json").write_text(json.dumps(result.to_dict(), ensure_ascii=False))


@contextmanager
def signals_like_ctrl_c() -> Iterator[None]:
    """Lets a polite end (SIGTERM) and a closed terminal (SIGHUP) keep what was measured, as Ctrl-C does."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    # What the caller ignores (nohup) stays ignored.
    taken = [n for n in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(n) is not signal.SIG_IGN]
    before = {number: signal.signal(number, interrupt) for number in taken}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def status_of(result: Result, unreadable: HfmemdebugError | None = None) -> int:
    """Returns the exit status that the contract gives to a verdict.

    Args:
        result: The result.
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


def typed_command() -> str:
    """Returns this process's command line for the report, without what is private in it."""
    from hfmemdebug.render.redact import Redactor

    return Redactor.of_this_machine().command_line(["hfmemdebug", *sys.argv[1:]])
