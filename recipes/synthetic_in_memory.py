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
        begun = 0.0
        for index, start in enumerate(range(0, len(dataset), step)):
            before = process.memory_info().rss / MB
            if index == WARMUP:
                begun = before
            _ = dataset[start : start + step]
            after = process.memory_info().rss / MB
            print(f"{start:>8} {after:>10.2f}MB {after - before:>10.2f}MB")
        grown = process.memory_info().rss / MB - begun
    print(f"Total diff: {grown:.2f}MB (after {WARMUP} warm-up slices)")
    holds = grown < 8
    print(f"\n{'holds' if holds else 'DOES NOT HOLD'}: after the warm-up nothing grows (within 8 MB)")
    return 0 if holds else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="the article's size")
    options = parser.parse_args()
    sys.exit(main(rows=1_000_000, step=50_000) if options.full else main(rows=100_000, step=5_000))
