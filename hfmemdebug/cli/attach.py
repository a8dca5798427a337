"""`hfmemdebug attach`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hfmemdebug.cli import options as o
from hfmemdebug.cli.console import Console
from hfmemdebug.cli.write import check_outputs, claims_stdout

if TYPE_CHECKING:
    from hfmemdebug.measure.attach import Target

DurationOption = Annotated[
    float | None,
    typer.Option("--duration", metavar="SECONDS", min=0.5, help="Watch for as long.", rich_help_panel=o.RUN),
]


def attach(
    pid: Annotated[int, typer.Argument(metavar="PID", min=1, help="The process; its children are read too.")],
    once: Annotated[
        bool, typer.Option("--once", help="One reading, and no verdict.", rich_help_panel=o.RUN)
    ] = False,
    duration: DurationOption = None,
    reclaim: Annotated[
        bool,
        typer.Option(
            "--reclaim",
            help="Prove it: ask the kernel to take the data files' pages back (as root). The process reads them again.",
            rich_help_panel=o.RUN,
        ),
    ] = False,
    min_leak: Annotated[
        str | None,
        typer.Option(
            "--min-leak",
            metavar="SIZE",
            help="Call nothing growth that is smaller, over the whole time.",
            show_default="16M, or a tenth of what it has",
            rich_help_panel=o.RUN,
        ),
    ] = None,
    output: o.OutputOption = None,
    as_json: o.JsonOption = False,
    quiet: o.QuietOption = False,
) -> int:
    """Looks at a live process and its children: what of its memory can be taken back, which files hold it.

    Nothing is installed in it and nothing injected. On a terminal it goes on as a live view; q or Ctrl-C ends it
    with a report.

    \b
    Examples:
      hfmemdebug attach 4711
      hfmemdebug attach 4711 --once --json
      hfmemdebug attach $(pgrep -of train.py) --duration 60 -o report.md
    """
    from hfmemdebug.errors import UsageError
    from hfmemdebug.measure.attach import find_target
    from hfmemdebug.units import parse_size

    check_outputs(output, as_json=as_json, recorded=not once, drawn=not once)
    if once and duration is not None:
        raise UsageError("--once and --duration exclude each other", next="Leave one of them out.")
    if once and min_leak is not None:
        raise UsageError(
            "--min-leak is about growth, which --once does not see", next="Leave one of them out."
        )
    floor = parse_size(min_leak) if min_leak else None
    target = find_target(pid)
    console = Console(as_json=as_json, quiet=quiet)
    if once:
        return _once(target, reclaim, output, console)
    return _watch(target, duration, reclaim, floor, output, console)


def _once(target: Target, reclaim: bool, output: list[Path] | None, console: Console) -> int:
    from concurrent.futures import ThreadPoolExecutor

    from hfmemdebug.supervise.watch import read_tree

    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read_tree, target.pid, without=os.getpid())
        # The kernel takes a tenth of a second for ten GB; what shows them is imported meanwhile.
        from hfmemdebug.cli.write import show_result, write_outputs
        from hfmemdebug.errors import EXIT_OK, InputError
        from hfmemdebug.measure.attach import snapshot_result
        from hfmemdebug.render import terminal  # noqa: F401

        tree = reading.result()
    if not tree.processes or tree.processes[0].started != target.process.create_time():
        raise InputError(f"process {target.pid} ended while it was read")
    proof = None
    if reclaim:
        from hfmemdebug.workload.reclaim import reclaim_tree

        proof = reclaim_tree(tree)
    wanted = console.as_json or output
    result = snapshot_result(
        tree, command_line=_typed(), environment=_machine() if wanted else None, reclaimed=proof
    )
    show_result(result, console, paths=output)
    write_outputs(result, (), output, console)
    return EXIT_OK


def _watch(
    target: Target,
    duration: float | None,
    reclaim: bool,
    floor: int | None,
    output: list[Path] | None,
    console: Console,
) -> int:
    import json
    from dataclasses import asdict, replace

    from hfmemdebug.analysis.program_verdict import judge_program
    from hfmemdebug.cli.live import LiveView, PlainView
    from hfmemdebug.cli.measure import signals_like_ctrl_c, status_of
    from hfmemdebug.cli.write import show_result, write_outputs
    from hfmemdebug.measure.attach import Attachment
    from hfmemdebug.recording.header import ArmInfo, Header, Workload
    from hfmemdebug.recording.store import end_run, new_run

    run = new_run("attach", warn=console.warn)
    header = Header(
        "attach",
        ArmInfo("program", "program", consumer=False),
        Workload(pid=target.pid, name=target.name),
        command_line=_typed(),
        min_leak=floor,
        environment=_machine(),
    )
    attachment = Attachment(target, run / "program.jsonl", header)
    live = sys.stdout.isatty() and sys.stdin.isatty() and not (console.quiet or console.as_json)
    try:
        view = LiveView() if live and not claims_stdout(output) else PlainView(console, duration)
        with view, signals_like_ctrl_c():
            recording = attachment.watch(view, duration=duration)
        result = judge_program(recording)
        if reclaim and attachment.tree is not None and attachment.why_ended is None:
            from hfmemdebug.workload.reclaim import reclaim_tree

            arm = replace(result.arms[0], reclaim=asdict(reclaim_tree(attachment.tree)))
            result = replace(result, arms=(arm,))
        (run / "result.json").write_text(json.dumps(result.to_dict(), ensure_ascii=False))
        show_result(result, console, recordings=[recording], paths=output)
        write_outputs(result, [recording], output, console)
    finally:
        end_run(run)
    return status_of(result)


def _typed() -> str:
    from hfmemdebug.cli.measure import typed_command

    return typed_command(sys.argv[1:])


def _machine() -> dict[str, str]:
    from hfmemdebug.probes.environment import machine_environment

    return machine_environment()
