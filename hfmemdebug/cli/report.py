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
    from hfmemdebug.render.redact import Redactor


def report(
    recordings: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="RECORDING",
            help="A recording (.jsonl), or the folder of a run. Several are the arms of one run; two of different "
            "runs are compared; a folder of all ranks' recordings is merged.",
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

    \b
    Examples:
      hfmemdebug report --last
      hfmemdebug report --last -o -   (Markdown for a GitHub issue)
      hfmemdebug report before.jsonl after.jsonl   (two runs side by side)
      hfmemdebug report ranks   (the ranks of a run, outliers first)
      hfmemdebug report run.jsonl -o report.html -o report.png -o result.json
    """
    check_outputs(output, as_json=as_json)
    if last == bool(recordings):
        wrong = "both --last and a recording are given" if last else "there is nothing to report on"
        raise UsageError(wrong, next="Give a recording (.jsonl), the folder of a run, or --last.")
    console = Console(as_json=as_json, quiet=quiet)

    from hfmemdebug.analysis.ranks import with_ranks
    from hfmemdebug.analysis.verdict import judge
    from hfmemdebug.cli.ranks import files_of_ranks, merge_files
    from hfmemdebug.render.redact import Redactor

    redactor = Redactor.of_this_machine(show_names=show_names)
    if ranks := files_of_ranks(recordings or []):
        if too_much := [path for path in output or () if path.suffix == ".jsonl"]:
            raise UsageError(
                f"-o {too_much[0]}: the recordings of ranks stay a file each", next="Name another ending."
            )
        result, loaded = merge_files(ranks, console)
        show_result(result, console, recordings=loaded, paths=output, redactor=redactor)
        write_outputs(result, loaded, output, console, redactor=redactor)
        return
    runs = _load(recordings or [])
    if len(runs) == 2:
        _compare(runs, console, output, redactor)
        return
    [loaded] = runs
    result = judge(loaded)
    if loaded[0].watched:
        result = with_ranks(result, loaded[0])
    show_result(result, console, recordings=loaded, paths=output, redactor=redactor)
    write_outputs(result, loaded, output, console, redactor=redactor)


def _compare(
    runs: Sequence[list[Recording]], console: Console, output: Sequence[Path] | None, redactor: Redactor
) -> None:
    """Shows and writes two runs side by side.

    Raises:
        UsageError: A format that holds one run alone is asked for.
    """
    import json

    from hfmemdebug.analysis.compare import compare
    from hfmemdebug.cli.write import claims_stdout, write_text
    from hfmemdebug.render.comparison import comparison_markdown, comparison_terminal

    wrong = [path for path in output or () if path.suffix not in (".md", ".json") and str(path) != "-"]
    if wrong:
        raise UsageError(f"-o {wrong[0]}: two runs side by side are written as .md or .json alone")
    compared = redactor.comparison(compare(*runs), runs)
    if console.as_json:
        console.document(compared.to_dict())
    elif claims_stdout(output):
        print(comparison_markdown(compared), end="", flush=True)
    elif console.quiet:
        print(f"{compared.before} -> {compared.after}")
    else:
        print(comparison_terminal(compared), end="", flush=True)
    for path in output or ():
        if path.suffix == ".md":
            write_text(path, comparison_markdown(compared), console)
        elif path.suffix == ".json":
            write_text(path, json.dumps(compared.to_dict(), indent=2, ensure_ascii=False) + "\n", console)


def _load(sources: Sequence[Path]) -> list[list[Recording]]:
    """The recordings of files and run folders, by run; without any, those of the newest run."""
    by_source = [_read(source) for source in sources or (None,)]
    together = [recording for recordings in by_source for recording in recordings]
    if len(by_source) == 2 and not _is_one_run(together):
        for recordings in by_source:
            _check_one_run(recordings)
        return [sorted(recordings, key=_place) for recordings in by_source]
    _check_one_run(together)
    return [sorted(together, key=_place)]


def _read(source: Path | None) -> list[Recording]:
    """The recordings of a file or a run's folder."""
    from hfmemdebug.recording.file import load_recordings
    from hfmemdebug.recording.store import last_run, recordings_of

    source = source or last_run()
    files = recordings_of(source) if source.is_dir() else (source,)
    if not files:
        raise InputError(f"{source} holds no recording (.jsonl)", next="Give a recording, or --last.")
    return [recording for file in files for recording in load_recordings(file)]


def _place(recording: Recording) -> tuple[int, bool]:
    """Arms in the order in which people think of them: each mode without the consumer, then with it."""
    arm = recording.header.arm
    modes = ("mmap", "in-memory", "streaming")
    return modes.index(arm.mode) if arm.mode in modes else len(modes), arm.consumer


def _is_one_run(recordings: Sequence[Recording]) -> bool:
    names = [recording.header.arm.name for recording in recordings]
    datasets = {recording.header.workload.dataset for recording in recordings}
    return len(set(names)) == len(names) and len(datasets) == 1


def _check_one_run(recordings: Sequence[Recording]) -> None:
    """Arms of different runs must not be judged against each other.

    Raises:
        UsageError: The recordings are of more than one run.
    """
    if not _is_one_run(recordings):
        raise UsageError(
            "these recordings are of more than one run, and arms of different runs say nothing together",
            next="Report on one run at a time, or give two runs, a folder or a .jsonl each, to compare them.",
        )
