"""Writing to a whole memmap: where do the changes go in mode `c`, where in mode `r+`, and what does flush() do?

    python recipes/numpy_copy_on_write.py            # 120 MB under a limit of 60 MB
    python recipes/numpy_copy_on_write.py --full     # 50000 × 20000 float32 (4 GB) under a limit of 2 GB

Every row of a saved array is written to through `np.load(mmap_mode=…)`, in a process of its own, with
`flush()` every hundred rows and without, free and under the limit.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

COLUMNS = 20_000
ROWS, LIMIT = 1_500, "60M"
FULL_ROWS, FULL_LIMIT = 50_000, "2G"
FLUSH_EVERY = 100


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--full", action="store_true", help="4 GB instead of 120 MB")
    parser.add_argument("--one", nargs=3, metavar=("FILE", "MODE", "FLUSH"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        file, mode, flush = options.one
        print(json.dumps(write_all_rows(Path(file), mode, flush == "flush")))
        return 0
    rows, limit = (FULL_ROWS, FULL_LIMIT) if options.full else (ROWS, LIMIT)
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        return compare(Path(folder) / "a.npy", rows, limit)


def compare(path: Path, rows: int, limit: str) -> int:
    size = rows * COLUMNS * 4
    print(f"{rows} × {COLUMNS} float32, {size / 1e9:.2f} GB; limit {limit}; memory in MB\n")
    print("| mode | flush | limit | outcome | seconds | anonymous | of it copies | file | changed on disk |")
    print("| --- | --- | --- | --- | ---: | ---: | ---: | ---: | --- |")
    found = {}
    saved_for_c = False
    for mode in ("r+", "c"):
        for flush in ("no", "flush"):
            for bound in (None, limit):
                if mode == "r+" or not saved_for_c:
                    save_zeros(path, rows)
                    saved_for_c = mode == "c"
                outcome = found[mode, flush, bound is not None] = run(path, mode, flush, bound)
                print(f"| {mode} | {flush} | {bound or '–'} | {cells(outcome)} |", flush=True)
    return check(found, size)


def save_zeros(path: Path, rows: int) -> None:
    """The question's array, written piece by piece: saving it at once would take its size in memory."""
    import numpy as np

    array = np.lib.format.open_memmap(path, mode="w+", dtype="float32", shape=(rows, COLUMNS))
    array[:] = 0
    array.flush()
    del array
    with path.open("rb") as file:
        # What is in the page cache already was charged to us, and would cost the limited process nothing.
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def run(path: Path, mode: str, flush: str, limit: str | None) -> dict[str, Any]:
    """Writes in a process of its own; what it says, or how it ended."""
    command = [sys.executable, __file__, "--one", str(path), mode, flush]
    if limit is not None:
        command = [sys.executable, "-m", "hfmemdebug", "limit", "--memory", limit, "--", *command]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 137:
        return {"outcome": "killed"}
    if limit is not None and done.returncode in (2, 125):
        return {"outcome": "no limit can be set here"}
    if done.returncode != 0:
        raise SystemExit(done.stderr)
    return {"outcome": "finished", **json.loads(done.stdout.splitlines()[-1])}


def write_all_rows(path: Path, mode: str, flush: bool) -> dict[str, Any]:
    """The loop of the question, and what this process holds at its end. Bytes."""
    import numpy as np

    from hfmemdebug.probes.maps import copies_by_path, read_mappings
    from hfmemdebug.probes.status import StatusReader

    array = np.load(path, mmap_mode=mode)
    began = time.perf_counter()
    for i in range(array.shape[0]):
        if flush and i % FLUSH_EVERY == 0:
            array.flush()
        array[i, :] = i * np.arange(array.shape[1])
    seconds = time.perf_counter() - began
    status, copies = StatusReader().read(), copies_by_path(read_mappings()).get(str(path))
    return {
        "seconds": seconds,
        "anonymous": status.anon,
        "file": status.file,
        "copies": copies.copied if copies else 0,
        "changed": bool(np.load(path, mmap_mode="r")[-1].any()),
    }


def cells(outcome: dict[str, Any]) -> str:
    if "seconds" not in outcome:
        return f"{outcome['outcome']} | – | – | – | – | –"
    sizes = " | ".join(f"{outcome[name] / 1e6:.0f}" for name in ("anonymous", "copies", "file"))
    changed = "yes" if outcome["changed"] else "no"
    return f"{outcome['outcome']} | {outcome['seconds']:.1f} | {sizes} | {changed}"


def check(found: dict[tuple[str, str, bool], dict[str, Any]], size: int) -> int:
    """The claims, each against what was measured."""
    free = {key: outcome for key, outcome in found.items() if not key[2]}
    bound = {
        key: outcome for key, outcome in found.items() if key[2] and "no limit" not in outcome["outcome"]
    }
    claims = {
        "mode c: all that is written is anonymous memory, with flush() or without": all(
            o["copies"] >= size for (mode, _, _), o in free.items() if mode == "c"
        ),
        "mode c: the file is not changed": not any(
            o["changed"] for (mode, _, _), o in free.items() if mode == "c"
        ),
        "mode r+: nothing is anonymous, the changes are the file's pages": all(
            o["copies"] == 0 and o["changed"] for (mode, _, _), o in free.items() if mode == "r+"
        ),
        "under the limit mode r+ finishes, with flush() or without": all(
            o["outcome"] == "finished" for (mode, _, _), o in bound.items() if mode == "r+"
        ),
        "under the limit mode c is killed, with flush() or without": all(
            o["outcome"] == "killed" for (mode, _, _), o in bound.items() if mode == "c"
        ),
    }
    print()
    for claim, holds in claims.items():
        print(f"{'holds' if holds else 'DOES NOT HOLD'}: {claim}")
    if not bound:
        print("no limit could be set here: the last two claims were not tested")
    return 0 if all(claims.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
