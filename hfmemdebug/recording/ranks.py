"""One folder for the recordings of all ranks of a run: each writes a file of its own, so that nobody waits for
anybody and a shared file system will do.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from hfmemdebug.errors import InputError
from hfmemdebug.recording.file import load_header

# More than any machine has, and few enough to go through.
_MOST_RANKS = 10_000_000


def rank_file(folder: Path, rank: int, *, world: int | None, node: int | None, restart: int) -> Path:
    """Returns where a rank's recording goes: by its number and its node's number, and by no name of a host.

    A recording of an earlier run of the same name is replaced.

    Args:
        folder: The folder; it is made where it does not exist.
        rank: The rank's number.
        world: How many ranks there are, or None.
        node: The launcher's number of the node, or None.
        restart: How often the launcher has started the ranks anew.
    """
    folder.mkdir(parents=True, exist_ok=True)
    parts = [f"rank-{rank:0{len(str((world or 1) - 1))}d}"]
    parts += [f"node-{node}"] if node is not None else []
    parts += [f"restart-{restart}"] if restart else []
    return folder / f"{'.'.join(parts)}.jsonl"


def single_file(folder: Path) -> Path:
    """Returns where the recording of a process goes that no launcher has started: one that nobody else has."""
    folder.mkdir(parents=True, exist_ok=True)
    number = 1
    while True:
        path = folder / (f"program-{number}.jsonl" if number > 1 else "program.jsonl")
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        except FileExistsError:
            number += 1
        else:
            return path


def is_folder(path: str | os.PathLike[str]) -> bool:
    """Returns whether a place for recordings is a folder: it is one, or ends in a slash."""
    return os.fspath(path).endswith(os.sep) or Path(path).is_dir()


def ranks_of(files: Iterable[Path]) -> list[Path]:
    """Returns the recordings of ranks among some files; only the first line of each is read."""
    return [file for file in files if _is_of_rank(file)]


def _is_of_rank(file: Path) -> bool:
    try:
        launch = load_header(file).launch
    except InputError:
        return False
    return launch is not None and all(0 <= n <= _MOST_RANKS for n in (launch.rank, launch.world or 0))
