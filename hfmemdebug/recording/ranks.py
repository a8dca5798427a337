"""One folder for the recordings of all ranks of a run: each writes a file of its own, so that nobody waits for
anybody and a shared file system will do.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

# More than any machine has, and few enough to go through.
_MOST_RANKS = 10_000_000


def rank_file(folder: Path, rank: int, *, world: int | None, node: int | None, restart: int) -> Path:
    """Where a rank's recording goes: by its number and its node's number, and by no name of a host.

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
    """Where the recording of a process goes that no launcher has started: one that nobody else has."""
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
    """Whether a place for recordings is a folder: it is one, or ends in a slash."""
    return os.fspath(path).endswith(os.sep) or Path(path).is_dir()


def ranks_of(files: Iterable[Path]) -> dict[Path, dict[str, Any]]:
    """By recording of a rank, what its header says of that; only the first line of each is read."""
    found = {}
    for file in files:
        try:
            with file.open("rb") as lines:
                header = json.loads(lines.readline())
        except (OSError, ValueError):
            continue
        launch = header.get("launch") if isinstance(header, dict) else None
        if isinstance(launch, dict) and _is_whole(launch):
            found[file] = launch
    return found


def _is_whole(launch: dict[str, Any]) -> bool:
    """Whether what a header says of its rank is what we write there."""
    kinds: dict[str, type | tuple[type, ...]] = {
        "world": int,
        "node": int,
        "restart": int,
        "place": str,
        "job": str,
        "began": (int, float),
    }
    numbers = [launch.get("rank"), launch.get("world") or 0]
    return all(isinstance(n, int) and 0 <= n <= _MOST_RANKS for n in numbers) and all(
        launch.get(name) is None or isinstance(launch[name], kind) for name, kind in kinds.items()
    )
