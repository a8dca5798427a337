"""Slices of a dataset of texts, mapped and in memory, free and under a limit: who is killed owns the memory.

    python recipes/datasets_slices.py                              # 14 slices of 10,000 made-up rows, limit 256 MB
    python recipes/datasets_slices.py --data pairs.parquet --full  # 14 slices of 500,000 rows of it, limit 1 GB

With --data, the column `translation` of a Parquet file (as in wmt19) is repeated until there are enough rows.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

SLICES = 14
MB = 2**20


def build(path: Path, rows: int, data: str | None) -> None:
    """Writes an Arrow file in constant memory."""
    if data is None:
        import hfmemdebug

        made = hfmemdebug.synthesize(path.with_suffix(""), rows=rows, preset="text", vary=0.3, seed=1)
        next(made.path.glob("*.arrow")).rename(path)
        return
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    table = pq.read_table(data, columns=["translation"])
    pairs = table["translation"].combine_chunks().flatten()
    # With these a row takes 190 bytes, as it does in wmt19.
    long_enough = pc.greater_equal(pc.add(*(pc.binary_length(texts) for texts in pairs)), 90)
    table = table.filter(long_enough).combine_chunks()
    with pa.OSFile(str(path), "wb") as file, pa.RecordBatchStreamWriter(file, table.schema) as writer:
        for left in range(rows, 0, -len(table)):
            for batch in table.slice(0, left).to_batches(max_chunksize=1000):
                writer.write_batch(batch)


def iterate(path: str, *, in_memory: bool) -> None:
    """The article's loop: RSS, and the part of it that is anonymous, after each slice."""
    from datasets import Dataset

    dataset = Dataset.from_file(path, in_memory=in_memory)
    step = -(-len(dataset) // SLICES)
    for start in range(0, len(dataset), step):
        x = dataset[start : start + step]  # noqa: F841
        status = Path("/proc/self/status").read_text().split()
        rss, anon = (int(status[status.index(name) + 1]) // 1024 for name in ("VmRSS:", "RssAnon:"))
        print(rss, anon, flush=True)


def main(*, rows: int, limit: int, data: str | None) -> int:
    columns: dict[str, list[list[int]]] = {}
    statuses: dict[str, int] = {}
    with tempfile.TemporaryDirectory(dir=".") as scratch:
        path = Path(scratch, "rows.arrow")
        build(path, rows, data)
        arrow = path.stat().st_size // MB
        print(f"{rows:,} rows, {arrow} MB of Arrow, {SLICES} slices")
        for shell, mode in (("free", "mapped"), ("free", "memory"), ("limit", "mapped"), ("limit", "memory")):
            # Pages that are in the cache already would be charged to nobody under the limit.
            with path.open("rb") as opened:
                os.fsync(opened.fileno())
                os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            limited = [sys.executable, "-m", "hfmemdebug", "limit", "--memory", f"{limit}M", "--"]
            command = [sys.executable, __file__, "--iterate", str(path), mode]
            command = [*limited, *command] if shell == "limit" else command
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode not in (0, 137):
                sys.exit(done.stderr)
            if shell == "limit":
                print(f"{mode}: {done.stderr.strip().splitlines()[-1]}")
            columns[f"{shell}, {mode}"] = [
                [int(n) for n in line.split()] for line in done.stdout.splitlines()
            ]
            statuses[f"{shell}, {mode}"] = done.returncode
    print(f"\nRSS in MB, in brackets what is anonymous of it (limit: {limit} MB)")
    print("slice " + "".join(f"{name:>17}" for name in columns))
    for place in range(SLICES):
        cells = [f"{c[place][0]} ({c[place][1]})" if place < len(c) else "killed" for c in columns.values()]
        print(f"{place:>5} " + "".join(f"{cell:>17}" for cell in cells))
    mapped = columns["free, mapped"]
    claims = {
        "mapped, RSS grows with what is read, by more than half of it": mapped[-1][0] - mapped[0][0]
        > arrow / 2,
        "mapped, what is anonymous does not": mapped[-1][1] - mapped[SLICES // 2][1] < arrow / 8,
        f"mapped, it runs to the end under {limit} MB": statuses["limit, mapped"] == 0,
        f"in memory, it is killed under {limit} MB": statuses["limit, memory"] == 137,
    }
    print()
    for claim, holds in claims.items():
        print(f"{'holds' if holds else 'DOES NOT HOLD'}: {claim}")
    return 0 if all(claims.values()) else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", metavar="FILE.parquet", help="texts to repeat")
    parser.add_argument("--full", action="store_true", help="the article's sizes: 7,000,000 rows, 1 GB")
    parser.add_argument("--iterate", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.iterate:
        iterate(options.iterate[0], in_memory=options.iterate[1] == "memory")
    elif options.full:
        sys.exit(main(rows=SLICES * 500_000, limit=1024, data=options.data))
    else:
        sys.exit(main(rows=SLICES * 10_000, limit=256, data=options.data))
