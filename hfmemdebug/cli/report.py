"""`hfmemdebug report`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hfmemdebug.cli.console import Console
from hfmemdebug.cli.options import JsonOption, OutputOption, QuietOption, ShowNamesOption
from hfmemdebug.cli.write import check_outputs, show_result, write_outputs
from hfmemdebug.errors import InputError, UsageError

if TYPE_CHECKING:
    from hfmemdebug.recording.file import Recording


def report(
    recordings: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="RECORDING...",
            help="A recording (.jsonl), or the folder of a run. Several are the arms of one run.",
            show_default=False,
        ),
    ] = None,
    last: Annotated[bool, typer.Option("--last", help="The newest run on this machine.")] = False,
    output: OutputOption = None,
    show_names: ShowNamesOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Shows a recorded run again, in any format.

    [bold]Examples[/bold]

      hfmemdebug report --last

      hfmemdebug report --last -o -   (Markdown for a GitHub issue)

      hfmemdebug report run.jsonl -o report.html -o report.png -o result.json
    """
    check_outputs(output, as_json=as_json)
    if last == bool(recordings):
        wrong = "both --last and a recording are given" if last else "there is nothing to report on"
        raise UsageError(wrong, next="Give a recording (.jsonl), the folder of a run, or --last.")
    console = Console(as_json=as_json, quiet=quiet)
    loaded = _load(recordings or [])

    from hfmemdebug.analysis.verdict import judge
    from hfmemdebug.render.redact import Redactor

    redactor = Redactor.of_this_machine(show_names=show_names)
    result = judge(loaded)
    show_result(result, console, paths=output, redactor=redactor)
    write_outputs(result, loaded, output, console, redactor=redactor)


def _load(sources: Sequence[Path]) -> list[Recording]:
    """The recordings of files and run folders; without any, those of the newest run."""
    from hfmemdebug.recording.file import load_recordings
    from hfmemdebug.recording.store import last_run, recordings_of

    files: list[Path] = []
    for source in sources or [last_run()]:
        if not source.is_dir():
            files.append(source)
            continue
        found = recordings_of(source)
        if not found:
            raise InputError(f"{source} holds no recording (.jsonl)", next="Give a recording, or --last.")
        files += found
    recordings = [recording for file in files for recording in load_recordings(file)]
    _check_one_run(recordings)
    return sorted(recordings, key=_place)


def _place(recording: Recording) -> tuple[int, bool]:
    """Arms in the order in which people think of them: each mode without the consumer, then with it."""
    arm = recording.header["arm"]
    modes = ("mmap", "in-memory", "streaming")
    return modes.index(arm["mode"]) if arm["mode"] in modes else len(modes), bool(arm["consumer"])


def _check_one_run(recordings: Sequence[Recording]) -> None:
    """Arms of different runs must not be judged against each other.

    Raises:
        InputError: A header lacks what every header has.
        UsageError: The recordings are of more than one run.
    """
    names: list[str] = []
    datasets: list[str] = []
    for recording in recordings:
        arm, workload = recording.header.get("arm"), recording.header.get("workload")
        if (
            not isinstance(arm, dict)
            or not isinstance(workload, dict)
            or not {"name", "mode", "consumer"} <= set(arm)
        ):
            raise InputError(
                f"{recording.path}: its header does not say which arm it is",
                next="It was damaged, or written by another version of hfmemdebug.",
            )
        names.append(str(arm["name"]))
        datasets.append(str(workload.get("dataset")))
    if len(set(names)) < len(names) or len(set(datasets)) > 1:
        raise UsageError(
            "these recordings are of more than one run, and arms of different runs say nothing together",
            next="Report on one run at a time.",
        )
