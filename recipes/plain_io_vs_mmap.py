"""Plain IO against mmap, free and under a memory limit: RSS counts what the limit does not.

    python recipes/plain_io_vs_mmap.py           # 10 lines of 16 MB, limit 128 MB
    python recipes/plain_io_vs_mmap.py --full    # 16 lines of 128 MB, limit 1 GB, as in the article

A file is read line by line in eight ways: normally or through mmap, dropping each line or appending it to a
string, without a limit (shell A) and under one (shell B). First the limit itself is tried.
"""

import argparse
import itertools
import json
import mmap
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil

MB = 2**20
# So that malloc gives lines of 16 MB back to the kernel at once, as it always does with those of 128 MB.
os.environ["MALLOC_MMAP_THRESHOLD_"] = str(MB)


def read(path: Path, *, mapped: bool, accumulate: bool) -> None:
    """The article's program: RSS after each line, as one JSON line each."""
    process = psutil.Process()
    content = ""
    with path.open() as file:
        mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if mapped else None
        while True:
            line = mapping.readline() if mapping else file.readline()
            if not line:
                break
            if accumulate:
                content += str(line)
            print(json.dumps(process.memory_info().rss // MB), flush=True)


def limited(limit: int, *command: str) -> list[str]:
    return [sys.executable, "-m", "hfmemdebug", "limit", "--memory", f"{limit}M", "--", *command]


def try_the_shell(limit: int, line: int) -> list[int]:
    """As many lines as fit live, one more is killed."""
    statuses = []
    for lines in (7, 8):
        program = f"a = 'a' * {lines} * {line} * 2**20"
        done = subprocess.run(limited(limit, sys.executable, "-c", program), stderr=subprocess.DEVNULL)
        statuses.append(done.returncode)
        print(f"shell B: a string of {lines} x {line} MB {'lives' if done.returncode == 0 else 'is killed'}")
    return statuses


def main(*, line: int, count: int) -> int:
    limit = 8 * line
    statuses = try_the_shell(limit, line)
    with tempfile.TemporaryDirectory(dir=".") as folder:
        path = Path(folder, "lines.txt")
        with path.open("w") as file:
            for _ in range(count):
                file.write("a" * line * MB + "\n")
        columns = {}
        for shell, accumulate, mapped in itertools.product("AB", (False, True), (False, True)):
            words = [word for word, wanted in (("mmap", mapped), ("accumulate", accumulate)) if wanted]
            command = [sys.executable, __file__, "--read", str(path), *words]
            command = limited(limit, *command) if shell == "B" else command
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode not in (0, 137):
                sys.exit(done.stderr)
            columns[shell, mapped, accumulate] = [int(rss) for rss in done.stdout.split()]
    print(f"\nRSS in MB after each line of {line} MB; shell B is limited to {limit} MB")
    heads = [f"{s} {'mmap' if m else 'plain'}{' +' if a else ''}" for s, m, a in columns]
    print("line " + "".join(f"{head:>10}" for head in heads) + "      (+: accumulating)")
    for place in range(count):
        cells = [f"{c[place]:>10}" if place < len(c) else f"{'killed':>10}" for c in columns.values()]
        print(f"{place + 1:>4} " + "".join(cells))
    ended = {key: len(rss) for key, rss in columns.items()}
    claims = {
        f"a string of 7 x {line} MB lives in shell B, one of 8 is killed": statuses == [0, 137],
        "without accumulation all four runs read all lines, in shell B too": all(
            lines == count for (_, _, accumulate), lines in ended.items() if not accumulate
        ),
        "mmap's RSS grows by a line with each line in shell A": columns["A", True, False][-1] > count * line,
        "accumulating, both are killed in shell B, at the same line": (
            ended["B", False, True] == ended["B", True, True] < count
        ),
    }
    print()
    for claim, holds in claims.items():
        print(f"{'holds' if holds else 'DOES NOT HOLD'}: {claim}")
    return 0 if all(claims.values()) else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="the article's sizes")
    parser.add_argument("--read", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.read:
        file_name, *how = options.read
        read(Path(file_name), mapped="mmap" in how, accumulate="accumulate" in how)
    else:
        sys.exit(main(line=128, count=16) if options.full else main(line=16, count=10))
