"""`hfmemdebug report`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hfmemdebug.cli.output import ResultOptions
from hfmemdebug.errors import InputError, UsageError

if TYPE_CHECKING:
    from hfmemdebug.recording.file import Recording


def report(
    output: ResultOptions,
    recordings: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="RECORDING",
            help="A recording (.jsonl), or the folder of a run. Several are the runs of one experiment; two of "
            "different ones are compared; a folder of all ranks' recordings is merged.",
            show_default=False,
        ),
    ] = None,
    last: Annotated[bool, typer.Option("--last", help="The newest run on this machine.")] = False,
    list_all: Annotated[
        bool, typer.Option("--list", help="All runs that are kept, the newest first.")
    ] = False,
) -> None:
    """Shows a recorded run again, in any format.

    \b
    Examples:
      hfmemdebug report --list
      hfmemdebug report --last
      hfmemdebug report --last -o -   (Markdown for a GitHub issue)
      hfmemdebug report before.jsonl after.jsonl   (two runs side by side)
      hfmemdebug report ranks   (the ranks of a run, outliers first)
      hfmemdebug report run.jsonl -o report.html -o report.png -o result.json
    """
    output.check()
    ways = [
        name for name, given in (("--list", list_all), ("--last", last), ("a recording", recordings)) if given
    ]
    if len(ways) != 1:
        wrong = f"both {ways[0]} and {ways[1]} are given" if ways else "there is nothing to report on"
        raise UsageError(wrong, next="Give a recording (.jsonl), the folder of a run, --last or --list.")
    if list_all:
        _list(output)
        return

    from hfmemdebug.analysis.verdict import judge
    from hfmemdebug.cli.ranks import files_of_ranks, merge_files

    if ranks := files_of_ranks(recordings or []):
        if too_much := [path for path in output.paths or () if path.suffix == ".jsonl"]:
            raise UsageError(
                f"-o {too_much[0]}: the recordings of ranks stay a file each", next="Name another ending."
            )
        result, loaded = merge_files(ranks, output.console)
    else:
        runs = _load(recordings or [])
        if len(runs) == 2:
            _compare(runs, output)
            return
        [loaded] = runs
        result = judge(loaded)
    output.show(result, loaded)
    output.write(result, loaded)


def _list(output: ResultOptions) -> None:
    """Shows a line for each run that is kept: when, which command, the verdict, how it ended.

    Raises:
        UsageError: A file is asked for.
    """
    from hfmemdebug.recording.store import kept_runs
    from hfmemdebug.render.runs import runs_terminal

    if output.paths:
        raise UsageError("--list writes no file", next="Leave out -o, or name one run.")
    runs = [output.redactor.document(run.to_dict()) for run in kept_runs()]
    if output.as_json:
        output.console.document({"schema": "hfmemdebug.runs.v1", "runs": runs})
    else:
        print(runs_terminal(runs), end="", flush=True)


def _compare(runs: Sequence[list[Recording]], output: ResultOptions) -> None:
    """Shows and writes two runs side by side.

    Raises:
        UsageError: A format that holds one run alone is asked for.
    """
    from hfmemdebug.analysis.compare import compare
    from hfmemdebug.render.runs import comparison_json, comparison_markdown, comparison_terminal

    written = {".md": comparison_markdown, "": comparison_markdown, ".json": comparison_json}
    if wrong := [path for path in output.paths or () if path.suffix not in written]:
        raise UsageError(f"-o {wrong[0]}: two runs side by side are written as .md or .json alone")
    compared = output.redactor.comparison(compare(*runs), runs)
    if output.as_json:
        output.console.document(compared.to_dict())
    elif output.quiet and not output.claims_stdout:
        print(f"{compared.before} -> {compared.after}")
    elif not output.claims_stdout:
        print(comparison_terminal(compared), end="", flush=True)
    for path in output.paths or ():
        output.put(path, written[path.suffix](compared))


def _load(sources: Sequence[Path]) -> list[list[Recording]]:
    """Loads the recordings of files and run folders, by run; without any, those of the newest run."""
    by_source = [_read(source) for source in sources or (None,)]
    together = [recording for recordings in by_source for recording in recordings]
    if len(by_source) == 2 and not _is_one_run(together):
        for recordings in by_source:
            _check_one_run(recordings)
        return [sorted(recordings, key=_place) for recordings in by_source]
    _check_one_run(together)
    return [sorted(together, key=_place)]


def _read(source: Path | None) -> list[Recording]:
    """Reads the recordings of a file or a run's folder."""
    from hfmemdebug.recording.file import load_recordings
    from hfmemdebug.recording.store import last_run, recordings_of

    source = source or last_run()
    files = recordings_of(source) if source.is_dir() else (source,)
    if not files:
        raise InputError(f"{source} holds no recording (.jsonl)", next="Give a recording, or --last.")
    return [recording for file in files for recording in load_recordings(file)]


def _place(recording: Recording) -> tuple[int, bool]:
    """Orders arms as people think of them: each mode without the consumer, then with it."""
    arm = recording.header.arm
    modes = ("mmap", "in-memory", "streaming")
    return modes.index(arm.mode) if arm.mode in modes else len(modes), arm.consumer


def _is_one_run(recordings: Sequence[Recording]) -> bool:
    names = [recording.header.arm.name for recording in recordings]
    datasets = {recording.header.workload.dataset for recording in recordings}
    return len(set(names)) == len(names) and len(datasets) == 1


def _check_one_run(recordings: Sequence[Recording]) -> None:
    """Refuses arms of different runs, which must not be judged against each other.

    Raises:
        UsageError: The recordings are of more than one run.
    """
    if not _is_one_run(recordings):
        raise UsageError(
            "these recordings are of more than one run, and arms of different runs say nothing together",
            next="Report on one run at a time, or give two runs, a folder or a .jsonl each, to compare them.",
        )
