"""`hfmemdebug diagnose` beside the article's loop run twice, memory-mapped and in memory, in wall time.

Run by hand, on a machine that does nothing else and has 8 GB of memory and 2 GB of disk to spare:

    python tests/benchmarks/bench_diagnose.py

The dataset is built beforehand and read into the page cache before each run, since `diagnose` ends by
having the kernel take those pages back. `diagnose` is timed from its start to its end, which comes after
the verdict is on the screen; it reads as many of the slices as it needs, the loops read all. The two take
turns, and one round that does not count warms the bytecode.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ARTICLE = """
import sys
import psutil
from datasets import load_from_disk

process = psutil.Process()
rss = lambda: process.memory_info().rss / 2**20
dataset = load_from_disk(sys.argv[1], keep_in_memory=sys.argv[3] == "in-mem")
step = int(sys.argv[2])
for i in range(0, len(dataset), step):
    before = rss()
    _ = dataset[i : i + step]
    print(f"{i:8d} {rss():12.4f}MB {rss() - before:12.4f}MB")
"""
MOST_OF_ARTICLE = 0.6


def wall_time(commands: list[list[str]], environment: dict[str, str]) -> float:
    """Seconds that the commands take one after the other."""
    began = time.perf_counter()
    for command in commands:
        done = subprocess.run(command, env=environment, capture_output=True)
        if done.returncode:
            raise SystemExit(f"failed: {' '.join(command)}\n{done.stderr.decode()}")
    return time.perf_counter() - began


def warm_page_cache(dataset: Path) -> None:
    for file in dataset.glob("*.arrow"):
        with file.open("rb") as source:
            while source.read(1 << 20):
                pass


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--step", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=5, help="rounds that count (default 5)")
    parser.add_argument("--dir", default=".", help="where to write (default: the current folder)")
    options = parser.parse_args()
    hfmemdebug = [sys.executable, "-m", "hfmemdebug"]
    with tempfile.TemporaryDirectory(dir=Path(options.dir).resolve()) as name:
        dataset = Path(name, "dataset")
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        environment["XDG_STATE_HOME"] = str(Path(name, "state"))
        wall_time([[*hfmemdebug, "synth", str(dataset), "--rows", str(options.rows), "-q"]], environment)
        loop = [sys.executable, "-c", ARTICLE, str(dataset), str(options.step)]
        ways = {
            "diagnose": [[*hfmemdebug, "diagnose", str(dataset), "--step", str(options.step)]],
            "article": [[*loop, "mmap"], [*loop, "in-mem"]],
        }
        seconds: dict[str, list[float]] = {way: [] for way in ways}
        for counted in range(options.rounds + 1):
            for way in ways if counted % 2 else reversed(ways):
                warm_page_cache(dataset)
                spent = wall_time(ways[way], environment)
                if counted:
                    seconds[way].append(spent)
                    print(f"  {way:8} {spent:7.2f} s", file=sys.stderr)
    ratio = statistics.median(a / b for a, b in zip(seconds["diagnose"], seconds["article"], strict=True))
    print(f"{options.rows:,} rows, slices of {options.step:,}; medians of {options.rounds} rounds, wall time")
    for way, spent_all in seconds.items():
        print(f"  {way:8} {statistics.median(spent_all):7.2f} s")
    print(
        f"{'time, diagnose / article':28} {ratio:6.3f}  (at most {MOST_OF_ARTICLE:.2f}: "
        f"{'reached' if ratio <= MOST_OF_ARTICLE else 'NOT reached'})"
    )


if __name__ == "__main__":
    main()
