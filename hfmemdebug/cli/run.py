"""`hfmemdebug run`."""

from __future__ import annotations

import os
import shutil
import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from hfmemdebug.cli import options as o
from hfmemdebug.cli.console import Console
from hfmemdebug.cli.write import check_outputs, claims_stdout
from hfmemdebug.probes.cgroup import memory_total

if TYPE_CHECKING:
    from hfmemdebug.measure.program import Supervisor
    from hfmemdebug.recording.file import Recording

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


def run(
    program: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PROGRAM",
            help="SCRIPT.py, -m MODULE or -- COMMAND, unmodified. All that follows it is its own.",
            show_default=False,
        ),
    ] = None,
    min_leak: Annotated[
        str | None,
        typer.Option(
            "--min-leak",
            metavar="SIZE",
            help="Call nothing a leak that is smaller, over the whole run.",
            show_default="1M",
            rich_help_panel=o.RUN,
        ),
    ] = None,
    limit: Annotated[
        str | None,
        typer.Option(
            "--limit", metavar="SIZE", help="Under a memory limit, as `limit` sets it.", rich_help_panel=o.RUN
        ),
    ] = None,
    trace: Annotated[
        bool,
        typer.Option(
            "--trace",
            help="Trace Python's allocations as well, for the lines and what holds them. Slower.",
            rich_help_panel=o.RUN,
        ),
    ] = False,
    pass_status: Annotated[
        bool,
        typer.Option("--pass-status", help="Exit with the program's own status.", rich_help_panel=o.RUN),
    ] = False,
    output: o.OutputOption = None,
    as_json: o.JsonOption = False,
    quiet: o.QuietOption = False,
) -> int:
    """Runs somebody's program with its workers, and judges from that one run whether it leaks.

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
    import json
    from dataclasses import replace

    from hfmemdebug.cli.measure import status_of, typed_command
    from hfmemdebug.cli.ranks import recording_place, show_rank, split_outputs
    from hfmemdebug.errors import AccessError, DiskError, UsageError
    from hfmemdebug.measure.program import Supervisor, python_command
    from hfmemdebug.probes.launch import read_launch
    from hfmemdebug.recording.header import ArmInfo, Header, Workload
    from hfmemdebug.recording.store import end_run, new_run
    from hfmemdebug.units import parse_size

    launch = read_launch(os.environ)
    shared, output = split_outputs(output, launch)
    check_outputs(output, as_json=as_json)
    if not program:
        raise UsageError(
            "there is no program to run", next="For example: hfmemdebug run train.py --epochs 3."
        )
    floor = parse_size(min_leak) if min_leak else None
    command = python_command(program)
    console = Console(as_json=as_json, quiet=quiet)
    request = None
    if limit is not None:
        from hfmemdebug.cli.limit import read_request, within_outer_limit

        request = within_outer_limit(read_request(limit, "0", option="--limit"), console)
    place = recording_place(shared, launch)
    folder = new_run("run", warn=console.warn)
    one_of_many = launch is not None and (launch.world or 1) > 1
    supervisor = Supervisor(
        command,
        place or folder / "program.jsonl",
        Header(
            "run",
            ArmInfo("program", "program", consumer=False),
            Workload(),
            command_line=typed_command(sys.argv[1:]),
            min_leak=floor,
            memory_bytes=memory_total(),
            launch=replace(launch, began=time.time()) if launch is not None else None,
        ),
        # Standard output is then the document's.
        stdout=2 if as_json or claims_stdout(output) else None,
        limit=request,
        trace=trace,
        describe=_machine,
        scratch=folder,
    )

    def own_status() -> int | None:
        """The program's own exit status, where it is to be ours."""
        # A launcher ends all ranks when one of them ends with another status than 0: a verdict must not do that.
        status = supervisor.exit_status if pass_status or one_of_many else None
        return status if status is None or status >= 0 else 128 - status

    try:
        supervisor.run()

        from contextlib import redirect_stdout, suppress

        from hfmemdebug.analysis.program_verdict import judge_program
        from hfmemdebug.analysis.ranks import with_ranks
        from hfmemdebug.cli.write import show_result, write_outputs

        recording = _recorded(supervisor)
        interrupted = recording.end.outcome == "interrupted"
        result = replace(with_ranks(judge_program(recording), recording), interrupted=interrupted)
        with suppress(OSError):
            # Without room for it there may still be a reader.
            (folder / "result.json").write_text(json.dumps(result.to_dict(), ensure_ascii=False))
        if as_json or claims_stdout(output):
            show_result(result, console, recordings=[recording], paths=output)
        elif launch is not None and one_of_many:
            show_rank(result, launch, shared, console)
        else:
            with redirect_stdout(sys.stderr):
                show_result(result, console, recordings=[recording], paths=output)
        write_outputs(result, [recording], output, console)
    except (AccessError, DiskError) as error:
        if (status := own_status()) is None:
            raise
        console.warn(error.line())
        return status
    finally:
        end_run(folder)
        if not (supervisor.recording.is_file() and supervisor.recording.stat().st_size):
            # Nothing began: what is empty would be taken for a run, and an old one be removed for it.
            supervisor.recording.unlink(missing_ok=True)
            shutil.rmtree(folder, ignore_errors=True)
    status = own_status()
    return status_of(result) if status is None else status


def _recorded(supervisor: Supervisor) -> Recording:
    """What was recorded, with its closing line also where there was no room for that.

    Raises:
        DiskError: Nothing could be written.
    """
    from dataclasses import replace

    from hfmemdebug.errors import DiskError, InputError
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


def _machine() -> dict[str, str]:
    from hfmemdebug.probes.environment import machine_environment

    return machine_environment()
