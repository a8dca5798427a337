"""`hfmemdebug run`."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hfmemdebug.cli.options import RUN, option
from hfmemdebug.cli.output import OutputOptions
from hfmemdebug.errors import AccessError, DiskError, InputError, UsageError

if TYPE_CHECKING:
    from hfmemdebug.measure.program import Supervisor
    from hfmemdebug.recording.file import Recording
    from hfmemdebug.recording.header import Header, Launch
    from hfmemdebug.result import Result

# Ours that take a value, which is not the script.
_WITH_VALUE = ("-o", "--output", "--min-leak", "--limit")


def split_program(arguments: list[str]) -> list[str]:
    """Keeps the program's arguments of `run` from the parser, which would claim its options.

    Args:
        arguments: The whole command line of a `run`, without our own name.

    Returns:
        The same with ``--`` before the program's script, ``-m`` or ``--``.
    """
    place = 1
    while place < len(arguments):
        argument = arguments[place]
        if argument in ("--", "-m") or not argument.startswith("-") or argument == "-":
            return [*arguments[:place], "--", *arguments[place:]]
        place += 2 if argument in _WITH_VALUE else 1
    return arguments


@dataclass(frozen=True)
class RunOptions:
    """How a program is run and judged."""

    min_leak: Annotated[
        str | None,
        option(
            RUN,
            "--min-leak",
            metavar="SIZE",
            help="Call nothing a leak that is smaller, over the whole run.",
            show_default="1M",
        ),
    ] = None
    limit: Annotated[
        str | None, option(RUN, "--limit", metavar="SIZE", help="Under a memory limit, as `limit` sets it.")
    ] = None
    trace: Annotated[
        bool,
        option(
            RUN,
            "--trace",
            help="Trace Python's allocations as well, for the lines and what holds them. Slower.",
        ),
    ] = False
    pass_status: Annotated[bool, option(RUN, "--pass-status", help="Exit with the program's own status.")] = (
        False
    )


def run(
    output: OutputOptions,
    how: RunOptions,
    program: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PROGRAM",
            help="SCRIPT.py, -m MODULE or -- COMMAND, unmodified. All that follows it is its own.",
            show_default=False,
        ),
    ] = None,
) -> int:
    """Runs an unmodified program with its workers, and judges from that one run whether it leaks.

    A supervisor outside reads the process tree; inside its Python processes a light sampler reads exact counters
    and counts the rows that are read from datasets. Neither has to be installed in the program's environment.
    The report goes to standard error: standard output is the program's.

    \b
    Examples:
      hfmemdebug run train.py --epochs 3
      hfmemdebug run --trace train.py --epochs 3
      hfmemdebug run -o report.md -m package.train
      hfmemdebug run -- torchrun --nproc-per-node 4 train.py
      torchrun --nproc-per-node 4 -m hfmemdebug run -o ranks train.py
      hfmemdebug report ranks   (all of them as one result)
      hfmemdebug run --json -- /other/venv/bin/python train.py
    """
    from hfmemdebug.cli.measure import kept_run, status_of
    from hfmemdebug.cli.ranks import recording_place, split_outputs
    from hfmemdebug.probes.launch import read_launch

    launch = read_launch(os.environ)
    shared, files = split_outputs(output.paths, launch)
    output = replace(output, paths=files)
    output.check()
    if not program:
        raise UsageError(
            "there is no program to run", next="For example: hfmemdebug run train.py --epochs 3."
        )
    prepare = _supervised(program, how, launch, output)
    place = recording_place(shared, launch)
    with kept_run("run", output.console) as folder:
        supervisor = prepare(place or folder / "program.jsonl", folder)
        # A launcher ends all ranks when one of them ends with another status than 0: a verdict must not do that.
        passes_status = how.pass_status or _is_one_of_many(launch)
        try:
            supervisor.run()
            status = status_of(_answer(supervisor, folder, launch, shared, output))
        except (AccessError, DiskError) as error:
            if not passes_status or supervisor.exit.status is None:
                raise
            output.console.warn(error.line())
        finally:
            if not (supervisor.recording.is_file() and supervisor.recording.stat().st_size):
                # Nothing began: an empty recording would be taken for a run.
                supervisor.recording.unlink(missing_ok=True)
    if passes_status and supervisor.exit.status is not None:
        return supervisor.exit.status
    return status


def _supervised(
    program: Sequence[str], how: RunOptions, launch: Launch | None, output: OutputOptions
) -> Callable[[Path, Path], Supervisor]:
    """Checks the options; returns what makes the supervisor, given the recording's file and a folder.

    Raises:
        UsageError: A size is none.
        InputError: There is no such program.
    """
    from hfmemdebug.cli.limit import read_request, within_outer_limit
    from hfmemdebug.measure.program import Supervisor, python_command
    from hfmemdebug.probes.environment import machine_environment
    from hfmemdebug.units import parse_size

    least_growth = parse_size(how.min_leak) if how.min_leak else None
    command = python_command(program)
    limit = None
    if how.limit is not None:
        limit = within_outer_limit(read_request(how.limit, "0", option="--limit"), output.console)
    return lambda recording, scratch: Supervisor(
        command,
        recording,
        _header(least_growth, launch),
        # Standard output is then the document's.
        stdout=2 if output.claims_stdout else None,
        limit=limit,
        trace=how.trace,
        describe=machine_environment,
        scratch=scratch,
    )


def _is_one_of_many(launch: Launch | None) -> bool:
    return launch is not None and (launch.world or 1) > 1


def _header(least_growth: int | None, launch: Launch | None) -> Header:
    from hfmemdebug.cli.measure import typed_command
    from hfmemdebug.probes.cgroup import memory_total
    from hfmemdebug.recording.header import ArmInfo, Header, Workload

    return Header(
        "run",
        ArmInfo("program", "program", consumer=False),
        Workload(),
        command_line=typed_command(),
        min_leak=least_growth,
        memory_bytes=memory_total(),
        launch=replace(launch, began=time.time()) if launch is not None else None,
    )


def _answer(
    supervisor: Supervisor, folder: Path, launch: Launch | None, shared: Path | None, output: OutputOptions
) -> Result:
    """Judges the recording, and shows, writes and keeps the result.

    Raises:
        AccessError: A file of `-o` may not be written.
        DiskError: There is no room for it, or there was none for the recording.
    """
    from hfmemdebug.analysis.verdict import judge
    from hfmemdebug.cli.measure import keep_result
    from hfmemdebug.cli.ranks import show_rank

    recording = _recorded(supervisor)
    interrupted = recording.end.outcome == "interrupted"
    result = replace(judge([recording]), interrupted=interrupted)
    keep_result(folder, result)
    if output.claims_stdout:
        output.show(result, [recording])
    elif launch is not None and _is_one_of_many(launch):
        show_rank(result, launch, shared, output.console)
    else:
        with redirect_stdout(sys.stderr):
            output.show(result, [recording])
    output.write(result, [recording])
    return result


def _recorded(supervisor: Supervisor) -> Recording:
    """Loads what was recorded, with its closing line also where there was no room for that.

    Raises:
        DiskError: Nothing could be written.
    """
    from hfmemdebug.recording.file import load_recording

    try:
        recording = load_recording(supervisor.recording)
    except InputError as error:
        if supervisor.unwritten is None:
            raise
        raise DiskError(
            f"the program was not recorded: {supervisor.unwritten}",
            next="Make room where runs are kept ($XDG_STATE_HOME), or name another place (-o FOLDER).",
        ) from error
    return replace(recording, end=supervisor.ending) if recording.end.is_missing else recording
