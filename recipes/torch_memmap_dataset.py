"""A memmap behind a torch DataLoader: must it be made anew for each batch, as a popular answer says?

    python recipes/torch_memmap_dataset.py            # 80 MB
    python recipes/torch_memmap_dataset.py --full     # 2 GB, also under a limit of 700 MB

The rows are read once, in batches, with the memmap kept and with it made anew for each batch, in the main
process and in two workers. The same loaders, judged:

    hfmemdebug profile recipes/torch_memmap_dataset.py:kept
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

COLUMNS, BATCH = 1024, 256
ROWS, FULL_ROWS = 20_000, 500_000
LIMIT = "700M"


@functools.cache
def folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(dir=Path.cwd())


def data(rows: int) -> Path:
    """A file of so many rows, which goes with this process."""
    import numpy as np

    path = Path(folder().name) / "rows.memmap"
    array = np.memmap(path, dtype="float32", mode="w+", shape=(rows, COLUMNS))
    for start in range(0, rows, 10_000):
        array[start : start + 10_000] = start
    array.flush()
    return path


class Batches:
    """A map-style dataset whose items are batches.

    Args:
        path: Rows of float32.
        anew: Make the memmap anew for each batch.
    """

    def __init__(self, path: Path, *, anew: bool) -> None:
        self._path, self._anew = path, anew
        self._rows = self._open()

    def _open(self) -> Any:
        import numpy as np

        return np.memmap(self._path, dtype="float32", mode="r").reshape(-1, COLUMNS)

    def __len__(self) -> int:
        return -(-len(self._rows) // BATCH)

    def __getitem__(self, index: int) -> Any:
        import torch

        if self._anew:
            self._rows = self._open()
        # torch.tensor copies: a batch outlives the page that it came from.
        return torch.tensor(self._rows[index * BATCH : (index + 1) * BATCH])


def loader(path: Path, *, anew: bool, workers: int) -> Any:
    from torch.utils.data import DataLoader

    return DataLoader(Batches(path, anew=anew), batch_size=None, num_workers=workers)


def kept() -> Any:
    """For `hfmemdebug profile`: the memmap is kept."""
    return loader(data(ROWS), anew=False, workers=0)


def anew() -> Any:
    """For `hfmemdebug profile`: the memmap is made anew for each batch."""
    return loader(data(ROWS), anew=True, workers=0)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--full", action="store_true", help="2 GB, and a limit, instead of 80 MB")
    parser.add_argument("--one", nargs=3, metavar=("FILE", "HOW", "WORKERS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        file, how, workers = options.one
        print(json.dumps(read(Path(file), anew=how == "anew", workers=int(workers))))
        return 0
    return compare(FULL_ROWS if options.full else ROWS, (None, LIMIT) if options.full else (None,))


def compare(rows: int, limits: tuple[str | None, ...]) -> int:
    path, size = data(rows), rows * COLUMNS * 4
    print(f"{rows} × {COLUMNS} float32, {size / 1e6:,.0f} MB, in batches of {BATCH}; memory in MB\n")
    print("| memmap | workers | limit | outcome | seconds | anonymous | file | PSS of all processes, peak |")
    print("| --- | ---: | --- | --- | ---: | ---: | ---: | ---: |")
    found = {}
    for limit in limits:
        for workers in (0, 2):
            for how in ("kept", "anew"):
                one = found[how, workers, limit] = run(path, how, workers, limit)
                print(f"| {how} | {workers} | {limit or '–'} | {cells(one)} |", flush=True)
    return check(found, size)


def run(path: Path, how: str, workers: int, limit: str | None) -> dict[str, Any]:
    with path.open("rb") as file:
        # What is in the page cache already was charged to us, and would cost a limited process nothing.
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    command = [sys.executable, __file__, "--one", str(path), how, str(workers)]
    if limit is not None:
        command = [sys.executable, "-m", "hfmemdebug", "limit", "--memory", limit, "--", *command]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if limit is not None and done.returncode in (2, 125):
        return {"outcome": "no limit can be set here"}
    if done.returncode != 0:
        return {"outcome": f"ended with status {done.returncode}"}
    return {"outcome": "finished", **json.loads(done.stdout.splitlines()[-1])}


def read(path: Path, *, anew: bool, workers: int) -> dict[str, Any]:
    """Reads all batches once; what this process and its workers hold. Bytes."""
    import torch

    from hfmemdebug.probes.status import StatusReader

    torch.set_num_threads(1)
    batches = loader(path, anew=anew, workers=workers)
    status = StatusReader()
    before, began, checksum, pss = status.read(), time.perf_counter(), 0.0, 0
    for index, batch in enumerate(batches):
        checksum += float(batch[:, 0].double().sum())
        if index % max(1, len(batches) // 20) == 0:
            pss = max(pss, sum(pss_of(pid) for pid in ("self", *children())))
    seconds, after = time.perf_counter() - began, status.read()
    return {
        "seconds": seconds,
        "checksum": checksum,
        "anonymous": (after.anon or 0) - (before.anon or 0),
        "file": (after.file or 0) - (before.file or 0),
        "pss": pss,
    }


def children() -> Iterator[str]:
    for task in Path("/proc/self/task").iterdir():
        yield from (task / "children").read_text().split()


def pss_of(pid: str) -> int:
    """A process's share of the pages that it has: summed up, no page counts twice (smaps_rollup)."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def cells(one: dict[str, Any]) -> str:
    if "seconds" not in one:
        return f"{one['outcome']} | – | – | – | –"
    sizes = " | ".join(f"{one[name] / 1e6:+,.0f}" for name in ("anonymous", "file"))
    return f"{one['outcome']} | {one['seconds']:.1f} | {sizes} | {one['pss'] / 1e6:,.0f}"


def check(found: dict[tuple[str, int, str | None], dict[str, Any]], size: int) -> int:
    """The claims, each against what was measured."""
    free = {key: one for key, one in found.items() if key[2] is None}
    bound = {key: one for key, one in found.items() if key[2] and "no limit" not in one["outcome"]}
    claims = {
        "kept or made anew, the rows are the same": len({one["checksum"] for one in free.values()}) == 1,
        "kept or made anew, anonymous memory does not grow with the data": all(
            one["anonymous"] < 20e6 + 0.2 * size for one in free.values()
        ),
        "kept, all pages that were read stay mapped": free["kept", 0, None]["file"] > 0.9 * size,
        "made anew, they are unmapped batch by batch": free["anew", 0, None]["file"] < 0.5 * size,
        "under the limit, both finish": all(one["outcome"] == "finished" for one in bound.values()),
    }
    print()
    for claim, holds in claims.items():
        print(f"{'holds' if holds else 'DOES NOT HOLD'}: {claim}")
    if not bound:
        print("no limit was set: the last claim was not tested")
    return 0 if all(claims.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
