"""Rows that are all alike, in memory: with no file pages and no varying rows, what grows is a leak.

    python recipes/synthetic_in_memory.py           # 100,000 rows, slices of 5,000
    python recipes/synthetic_in_memory.py --full    # 1,000,000 rows, slices of 50,000, as in the article

The article's last program: it builds the dataset and then asks to be started again; here that is one run.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import psutil

import hfmemdebug

WARMUP = 4
MB = 2**20


def main(*, rows: int, step: int) -> int:
    process = psutil.Process()
    with tempfile.TemporaryDirectory(dir=".") as folder:
        path = Path(folder, "synthetic-ds")
        # Not Dataset.from_dict: that takes 7.4 GB for a million rows.
        hfmemdebug.synthesize(path, rows=rows, row={"foo": [{"a": "a" * 500, "b": "b" * 1000}]})
        from datasets import load_from_disk

        dataset = load_from_disk(str(path), keep_in_memory=True)
        print(f"Dataset len={len(dataset)}\n{'idx':>8} {'RSS':>12} {'Δ RSS':>12}")
        readings = []
        for start in range(0, len(dataset), step):
            before = process.memory_info().rss / MB
            _ = dataset[start : start + step]
            readings.append(process.memory_info().rss / MB)
            print(f"{start:>8} {readings[-1]:>10.2f}MB {readings[-1] - before:>10.2f}MB")
    grown = readings[-1] - readings[WARMUP - 1]
    print(f"Total diff: {grown:.2f}MB (after {WARMUP} warm-up slices)\n")
    claims = {
        "after the warm-up RSS grows by less than one per cent": grown < readings[-1] / 100,
        "and in the last quarter not at all (within 1 MB)": readings[-1] - readings[-len(readings) // 4] < 1,
    }
    for claim, holds in claims.items():
        print(f"{'holds' if holds else 'DOES NOT HOLD'}: {claim}")
    return 0 if all(claims.values()) else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="the article's size")
    options = parser.parse_args()
    sys.exit(main(rows=1_000_000, step=50_000) if options.full else main(rows=100_000, step=5_000))
