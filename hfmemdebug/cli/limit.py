"""`hfmemdebug limit`."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from hfmemdebug.cli.options import BackendOption
from hfmemdebug.cli.output import Console, OutputOptions
from hfmemdebug.errors import EXIT_OWN_FAILURE, UsageError

if TYPE_CHECKING:
    from hfmemdebug.supervise.limits.limiter import Request

CommandArgument = Annotated[
    list[str], typer.Argument(metavar="COMMAND", help="What to run, and its arguments.")
]


def limit(
    output: OutputOptions,
    command: CommandArgument,
    memory: Annotated[str, typer.Option("--memory", metavar="SIZE", help="Memory at most.")],
    swap: Annotated[str, typer.Option("--swap", metavar="SIZE", help="Swap beyond that.")] = "0",
    backend: BackendOption = "auto",
) -> int:
    """Runs a command, with all that it starts, under a real memory limit.

    Streams, signals, terminal and exit status are the command's own (128 + signal where it was killed); 125 is a
    failure of ours, 126 and 127 are a command that cannot be executed or found. A line on standard error says
    at the end what enforced the limit, the peak, and how the command ended. In it, MEMLIMIT is SIZE.

    \b
    Examples:
      hfmemdebug limit --memory 1G -- python train.py
      hfmemdebug limit --memory 1G -- bash              (a shell in which every program is limited)
      hfmemdebug limit --memory 600M --swap 200M -- python train.py --epochs 3
      hfmemdebug limit --memory 1G --json -- python train.py   (its standard output goes to standard error)
    """
    from hfmemdebug.analysis.limit_result import limit_result
    from hfmemdebug.cli.measure import typed_command
    from hfmemdebug.supervise.limits.command import run_limited

    output.check(recorded=False, drawn=False)
    asked = read_request(memory, swap)
    request = within_outer_limit(asked, output.console)
    # Beside a document on standard output there is no place for what the command prints.
    streams = {"stdout": 2} if output.claims_stdout else {}
    ran = run_limited(
        command,
        request,
        backend=backend,
        extra={"MEMLIMIT": memory if request == asked else str(request.bytes)},
        streams=streams,
    )
    result = limit_result(ran, command, command_line=typed_command())
    output.console.closing(result.summary)
    if output.as_json:
        output.show(result)
    output.write(result)
    return EXIT_OWN_FAILURE if ran.exit.status is None else ran.exit.status


def read_request(memory: str, swap: str, *, option: str = "--memory") -> Request:
    """Reads the limit that the options ask for.

    Raises:
        UsageError: A size is none, or leaves no memory at all.
    """
    from hfmemdebug.supervise.limits.limiter import Request
    from hfmemdebug.units import parse_size

    request = Request(parse_size(memory), parse_size(swap))
    if request.bytes < 4096:
        raise UsageError(f"{option} {memory}: less than a page of memory", next=f"For example {option} 1G.")
    return request


def within_outer_limit(request: Request, console: Console) -> Request:
    """Returns the request, lowered to a limit that holds around this process already.

    A new group may stand beside ours, where that limit would not hold.
    """
    from hfmemdebug.probes.cgroup import memory_limit
    from hfmemdebug.units import format_bytes

    outer = memory_limit()
    if outer is None or outer >= request.bytes:
        has = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        if request.bytes > has:
            console.warn(
                f"this machine has {format_bytes(has)} of memory, so that {format_bytes(request.bytes)} limits nothing"
            )
        return request
    console.warn(
        f"a limit of {format_bytes(outer)} holds around this process, so that is what is set, and not the "
        f"{format_bytes(request.bytes)} asked for"
    )
    return replace(request, bytes=outer)
