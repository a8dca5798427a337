"""Ranks of a run: where each one's recording goes, and the recordings of all of them as one result."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hfmemdebug.cli.output import Console
from hfmemdebug.errors import AccessError, InputError, UsageError

if TYPE_CHECKING:
    from hfmemdebug.analysis.rank import Rank
    from hfmemdebug.recording.file import Recording
    from hfmemdebug.recording.header import Launch
    from hfmemdebug.result import Result

# Reading that many in one process takes less time than starting others.
_FEW = 8
_DRAWN = 4


def recording_place(folder: Path | None, launch: Launch | None) -> Path | None:
    """Returns the file of this process's recording in a folder for all ranks; None without such a folder.

    Raises:
        AccessError: The folder cannot be made or written.
    """
    from hfmemdebug.recording.ranks import rank_file, single_file

    if folder is None:
        return None
    try:
        if launch is None:
            return single_file(folder)
        file = rank_file(folder, launch.rank, world=launch.world, node=launch.node, restart=launch.restart)
        # Found out before the program runs, and only its owner may read it.
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
        return file
    except OSError as error:
        raise AccessError(
            f"-o {folder}: it cannot be written ({error.strerror})", next="Choose another folder."
        ) from error


def split_outputs(
    outputs: Sequence[Path] | None, launch: Launch | None
) -> tuple[Path | None, list[Path] | None]:
    """Returns the folder for recordings among the values of `-o`, and the files.

    Of several ranks, each writes its own report: `report.md` is then `report.rank-3.md`.

    Raises:
        UsageError: Two folders are named.
    """
    from hfmemdebug.recording.ranks import is_folder

    # A slash at the end is lost by now; no file of `-o` is without an ending.
    folders = [path for path in outputs or () if is_folder(path) or (not path.suffix and str(path) != "-")]
    if len(folders) > 1:
        raise UsageError(
            f"-o {folders[0]} and -o {folders[1]} both name a folder", next="The recording goes into one."
        )
    files = [path for path in outputs or () if path not in folders]
    if launch is not None and (launch.world or 1) > 1:
        files = [
            path if str(path) == "-" else path.with_name(f"{path.stem}.rank-{launch.rank}{path.suffix}")
            for path in files
        ]
    return (folders[0] if folders else None), (files or None)


def show_rank(result: Result, launch: Launch, folder: Path | None, console: Console) -> None:
    """Prints the verdict of one rank of many: a line, since all of them write to the same terminal."""
    from hfmemdebug.render.redact import Redactor
    from hfmemdebug.render.terminal import render_verdict_line

    line = render_verdict_line(Redactor.of_this_machine().result(result))
    console.closing(f"rank {launch.rank} of {launch.world}: {line}")
    if launch.rank == 0:
        if folder is not None:
            console.hint(f"All ranks as one result: hfmemdebug report {folder}")
        else:
            console.hint("For all ranks as one result, give a folder (-o FOLDER): hfmemdebug report FOLDER")


def files_of_ranks(sources: Sequence[Path]) -> list[Path]:
    """Returns the recordings of ranks among what `report` was given; empty where it is something else.

    Raises:
        UsageError: Recordings of ranks stand beside others, or two runs of ranks beside each other.
    """
    from hfmemdebug.recording.ranks import ranks_of
    from hfmemdebug.recording.store import recordings_of

    folders = [source for source in sources if source.is_dir()]
    files = [
        file for source in sources for file in (recordings_of(source) if source in folders else [source])
    ]
    # Who names a file twice, or its folder too, means it once.
    folders, files = list(dict.fromkeys(folders)), list(dict.fromkeys(files))
    found = ranks_of(files)
    if not found or (len(sources) == 1 and not folders):
        return []
    if len(found) < len(files):
        other = next(file for file in files if file not in found)
        raise UsageError(
            f"{other} is no recording of a rank, and the others are",
            next="Report on it alone, or keep each run in a folder of its own.",
        )
    if len(folders) > 1:
        raise UsageError(
            "two folders of ranks cannot be shown side by side", next="Report on one folder at a time."
        )
    return found


def merge_files(files: Sequence[Path], console: Console) -> tuple[Result, list[Recording]]:
    """Judges the recordings of ranks, a few at a time, and merges what came out.

    Returns:
        The result, and the recordings of those that stand out, for charts.

    Raises:
        InputError: A file is no recording.
    """
    from hfmemdebug.analysis.ranks import merge
    from hfmemdebug.recording.file import load_recording

    with console.progress() as progress:
        task = progress.add_task("Ranks", total=len(files), detail="")
        ranks: list[Rank] = []
        for number, found in enumerate(_judged(files), start=1):
            ranks += found
            progress.update(task, advance=1, detail=f"{number:,} of {len(files):,}")
    if not ranks:
        raise InputError(f"{files[0].parent} holds no sample yet", next="Report on it once the ranks run.")
    result = merge(ranks)
    # A launcher's recording has several ranks, and is no single line of a chart.
    single = {str(rank.arm.recording) for rank in ranks if rank.launch.world is not None}
    shown = [arm for arm in result.arms if str(arm.recording) in single][:_DRAWN]
    recordings = [load_recording(str(arm.recording)) for arm in shown]
    named = [
        replace(r, header=replace(r.header, arm=replace(r.header.arm, name=arm.name)))
        for arm, r in zip(shown, recordings, strict=True)
    ]
    return result, named


def _judged(files: Sequence[Path]) -> Iterator[list[Rank]]:
    if len(files) <= _FEW:
        yield from map(judge_rank, files)
        return
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    # Forks would have the threads that draw the progress.
    workers = min(len(files), len(os.sched_getaffinity(0)))
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(judge_rank, files, chunksize=4)


def judge_rank(file: Path) -> list[Rank]:
    """Reads and judges one rank's recording, or those of the ranks that a launcher on one node has started.

    Returns:
        None at all where the recording holds nothing yet.
    """
    from hfmemdebug.analysis.rank import rank_of_recording
    from hfmemdebug.analysis.ranks import ranks_within
    from hfmemdebug.analysis.verdict import judge
    from hfmemdebug.recording.file import load_recording

    recording = load_recording(file)
    parts = ranks_within(recording) or [recording]
    return [rank_of_recording(part, judge([part])) for part in parts if part.samples or part.trees]
