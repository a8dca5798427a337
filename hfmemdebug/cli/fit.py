"""`hfmemdebug fit`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from hfmemdebug.cli.limit import CommandArgument
from hfmemdebug.cli.options import BackendOption
from hfmemdebug.cli.output import OutputOptions
from hfmemdebug.errors import EXIT_INTERRUPTED

if TYPE_CHECKING:
    from hfmemdebug.supervise.limits.fit import Trial


def fit(
    output: OutputOptions,
    command: CommandArgument,
    swap: Annotated[str, typer.Option("--swap", metavar="SIZE", help="Swap beyond each limit.")] = "0",
    backend: BackendOption = "auto",
) -> int:
    """Finds the smallest memory limit under which a command still finishes, and what each limit costs in time.

    The command is run several times, ten or so, from the start each time: mind what it writes (checkpoints,
    uploads). It gets no standard input; what it prints is shown once, on standard error.

    \b
    Examples:
      hfmemdebug fit -- python train.py --epochs 1
      hfmemdebug fit -o fit.md -- python count_words.py ./my-ds
    """
    output.check(recorded=False)

    from hfmemdebug.analysis.limit_result import fit_result, limit_words, trial_line
    from hfmemdebug.cli.measure import typed_command
    from hfmemdebug.probes.cgroup import memory_available
    from hfmemdebug.supervise.limits.fit import CommandFailed, Runs
    from hfmemdebug.units import parse_size

    console = output.console
    console.hint("The command is run several times, from the start each time: mind what it writes.")

    def begin(limit: int | None) -> None:
        console.passing(f"{limit_words(limit)}: running")

    def listen(trial: Trial) -> None:
        console.hint(trial_line(trial))

    runs = Runs(
        command,
        backend=backend,
        free_bytes=memory_available() or sys.maxsize // 4096 * 4096,
        swap=parse_size(swap),
        begin=begin,
        listen=listen,
    )
    try:
        found = runs.find()
    except CommandFailed as failed:
        status = failed.run.exit.status
        why = "was interrupted" if runs.interrupted else f"ended with exit status {status}"
        console.closing(f"without a limit the command {why}: there is nothing to fit")
        return EXIT_INTERRUPTED if runs.interrupted or status is None else status
    console.passing("")
    assert runs.last is not None
    result = fit_result(found, runs.last, command, command_line=typed_command(), interrupted=runs.interrupted)
    output.show(result)
    output.write(result)
    return EXIT_INTERRUPTED if runs.interrupted else 0
