"""`hfmemdebug attach`."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from hfmemdebug.cli.options import RUN, option
from hfmemdebug.cli.output import OutputOptions

if TYPE_CHECKING:
    from hfmemdebug.measure.attach import Target


def attach(
    output: OutputOptions,
    pid: Annotated[int, typer.Argument(metavar="PID", min=1, help="The process; its children are read too.")],
    once: Annotated[bool, option(RUN, "--once", help="One reading, and no verdict.")] = False,
    duration: Annotated[
        float | None, option(RUN, "--duration", metavar="SECONDS", min=0.5, help="Watch for as long.")
    ] = None,
    reclaim: Annotated[
        bool,
        option(
            RUN,
            "--reclaim",
            help="Prove it: ask the kernel to take the data files' pages back (as root). The process reads them again.",
        ),
    ] = False,
    min_leak: Annotated[
        str | None,
        option(
            RUN,
            "--min-leak",
            metavar="SIZE",
            help="Call nothing growth that is smaller, over the whole time.",
            show_default="16M, or a tenth of what it has",
        ),
    ] = None,
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

    output.check(recorded=not once, drawn=not once)
    if once and duration is not None:
        raise UsageError("--once and --duration exclude each other", next="Leave one of them out.")
    if once and min_leak is not None:
        raise UsageError(
            "--min-leak is about growth, which --once does not see", next="Leave one of them out."
        )
    least_growth = parse_size(min_leak) if min_leak else None
    target = find_target(pid)
    if once:
        return _once(target, reclaim, output)
    return _watch(target, duration, reclaim, least_growth, output)


def _once(target: Target, reclaim: bool, output: OutputOptions) -> int:
    from concurrent.futures import ThreadPoolExecutor

    from hfmemdebug.supervise.watch import read_tree

    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read_tree, target.pid, without=os.getpid())
        # The kernel takes a tenth of a second for ten GB; what shows them is imported meanwhile.
        from hfmemdebug.cli.measure import typed_command
        from hfmemdebug.errors import EXIT_OK, InputError
        from hfmemdebug.measure.attach import snapshot_result
        from hfmemdebug.probes.environment import machine_environment
        from hfmemdebug.render import terminal  # noqa: F401

        tree = reading.result()
    if not tree.processes or tree.processes[0].started != target.process.create_time():
        raise InputError(f"process {target.pid} ended while it was read")
    proof = None
    if reclaim:
        from hfmemdebug.workload.reclaim import reclaim_tree

        proof = reclaim_tree(tree)
    environment = machine_environment() if output.as_json or output.paths else None
    result = snapshot_result(tree, command_line=typed_command(), environment=environment, reclaimed=proof)
    output.show(result)
    output.write(result)
    return EXIT_OK


def _watch(
    target: Target, duration: float | None, reclaim: bool, least_growth: int | None, output: OutputOptions
) -> int:
    from contextlib import nullcontext
    from dataclasses import asdict, replace

    from hfmemdebug.analysis.verdict import judge
    from hfmemdebug.cli.live import PlainView, live_view
    from hfmemdebug.cli.measure import keep_result, kept_run, signals_like_ctrl_c, status_of, typed_command
    from hfmemdebug.measure.attach import Attachment
    from hfmemdebug.probes.environment import machine_environment
    from hfmemdebug.recording.header import ArmInfo, Header, Workload

    with kept_run("attach", output.console) as folder:
        header = Header(
            "attach",
            ArmInfo("program", "program", consumer=False),
            Workload(pid=target.pid, name=target.name),
            command_line=typed_command(),
            min_leak=least_growth,
            environment=machine_environment(),
        )
        attachment = Attachment(target, folder / "program.jsonl", header)
        live = sys.stdout.isatty() and sys.stdin.isatty() and not (output.quiet or output.claims_stdout)
        view = live_view() if live else nullcontext(PlainView(output.console, duration))
        with view as show, signals_like_ctrl_c():
            recording = attachment.watch(show, duration=duration)
        result = judge([recording])
        if reclaim and attachment.tree is not None and attachment.why_ended is None:
            from hfmemdebug.supervise.watch import read_tree
            from hfmemdebug.workload.reclaim import reclaim_tree

            tree = read_tree(target.pid, without=os.getpid())
            arm = replace(result.arms[0], reclaim=asdict(reclaim_tree(tree)))
            result = replace(result, arms=(arm,))
        keep_result(folder, result)
        output.show(result, [recording])
        output.write(result, [recording])
    return status_of(result)
