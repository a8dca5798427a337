"""1000 values of 200 KB in a mapped Arrow file, iterated free and under a limit of half of that.

    python recipes/pyarrow_memory_map.py

RSS grows by every value that is read, and the limit does not mind. The file's pages are dropped from the cache
first: what somebody else has read already is charged to them, and RSS then even exceeds the limit.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import pyarrow as pa

MB = 2**20
LIMIT = 100


def write(path: Path) -> None:
    table = pa.table({"a": pa.array([b"a" * (200 * 1024)] * 1000)})
    with path.open("wb") as file, pa.RecordBatchStreamWriter(file, schema=table.schema) as writer:
        writer.write_table(table)
        file.flush()
        os.fsync(file.fileno())


def iterate(path: str) -> None:
    """The article's program: RSS at every hundredth value."""
    process = psutil.Process()
    table = pa.ipc.open_stream(pa.memory_map(path)).read_all()
    for index, value in enumerate(table[0]):
        value.as_buffer().to_pybytes()
        if index % 100 == 99:
            print(process.memory_info().rss // MB, flush=True)


def drop_from_cache(path: Path) -> None:
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def main() -> int:
    limited = [sys.executable, "-m", "hfmemdebug", "limit", "--memory", f"{LIMIT}M", "--"]
    columns: dict[str, list[int]] = {}
    with tempfile.TemporaryDirectory(dir=".") as folder:
        path = Path(folder, "values.arrow")
        write(path)
        for name, before, cold in (
            ("free", [], True),
            ("limit, warm", limited, False),
            ("limit", limited, True),
        ):
            if cold:
                drop_from_cache(path)
            command = [*before, sys.executable, __file__, str(path)]
            done = subprocess.run(command, capture_output=True, text=True)
            print(f"{name}: exit status {done.returncode}. {done.stderr.strip()}")
            columns[name] = [int(rss) for rss in done.stdout.split()]
    print(f"\nRSS in MB (limit: {LIMIT} MB; warm: the file was in the page cache before)")
    print("values " + "".join(f"{name:>14}" for name in columns))
    for place in range(10):
        cells = [f"{c[place]:>14}" if place < len(c) else f"{'killed':>14}" for c in columns.values()]
        print(f"{(place + 1) * 100:>6} " + "".join(cells))
    free, warm, cold_run = columns.values()
    claims = {
        "RSS grows by the 195 MB that are read": len(free) == 10 and free[-1] - free[0] > 150,
        f"the same is read to the end under {LIMIT} MB": len(cold_run) == len(warm) == 10,
    }
    print()
    for claim, holds in claims.items():
        print(f"{'holds' if holds else 'DOES NOT HOLD'}: {claim}")
    return 0 if all(claims.values()) else 1


if __name__ == "__main__":
    if len(sys.argv) > 1:
        iterate(sys.argv[1])
    else:
        sys.exit(main())
