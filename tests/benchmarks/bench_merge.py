"""`report FOLDER` on the recordings of 1,000 ranks, beside parsing their JSON and beside reports one by one.

    python tests/benchmarks/bench_merge.py [--ranks 1000] [--dir DIR]

The recordings are copies of a real one (a program with two forked workers), each under a rank's name and on nodes of
eight; one in a hundred is of a program that leaks. Times are CPU time, user and system, of all processes.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# CPU time of `report FOLDER`, as a share of that of `report FILE` for each, and as a multiple of parsing the JSON.
MUST_REACH_ONE_BY_ONE = 0.2
MUST_REACH_MB = 400
_ONE_BY_ONE = 5
_PROGRAM = """
import multiprocessing, sys, time
kept = []
def work(number):
    for step in range(600):
        kept.append([str(step + i) * 50 for i in range(40)] if number == 1 and sys.argv[1] == "leak" else None)
        time.sleep(0.02)
workers = [multiprocessing.get_context("fork").Process(target=work, args=(n,)) for n in range(2)]
for worker in workers: worker.start()
for worker in workers: worker.join()
"""
_PARSE = """
import json, sys
from pathlib import Path
for file in Path(sys.argv[1]).iterdir():
    for line in file.read_text().splitlines():
        json.loads(line)
"""


def record(folder: Path, kind: str) -> list[str]:
    """The lines of a real recording."""
    (folder / "program.py").write_text(_PROGRAM)
    command = [
        sys.executable,
        "-m",
        "hfmemdebug",
        "run",
        "-q",
        "-o",
        str(folder / f"{kind}.jsonl"),
        "program.py",
        kind,
    ]
    environ = {**os.environ, "XDG_STATE_HOME": str(folder / "state")}
    subprocess.run(command, cwd=folder, env=environ, check=False, capture_output=True)
    return (folder / f"{kind}.jsonl").read_text().splitlines(keepends=True)


def spread(folder: Path, ranks: int) -> int:
    """Writes a recording for each rank; returns their bytes."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        kinds = [record(Path(scratch), kind) for kind in ("clean", "leak")]
    size = 0
    for rank in range(ranks):
        header, *rest = kinds[rank % 100 == 50]
        launch = {
            "rank": rank,
            "world": ranks,
            "node": rank // 8,
            "place": None,
            "job": "b",
            "restart": 0,
            "began": 1e9,
        }
        text = json.dumps({**json.loads(header), "launch": launch}) + "\n" + "".join(rest)
        size += (folder / f"rank-{rank:04d}.jsonl").write_text(text)
    return size


def cost(command: list[str]) -> tuple[float, float, str]:
    """CPU and wall time of a command in seconds, and what it printed."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, time.perf_counter() - began, done.stdout


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ranks", type=int, default=1000)
    parser.add_argument("--dir", type=Path, default=Path())
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.dir) as place:
        folder = Path(place, "ranks")
        folder.mkdir()
        size = spread(folder, options.ranks)
        print(f"{options.ranks:,} recordings, {size / 2**20:,.0f} MB; load {os.getloadavg()[0]:.1f}")
        report = [sys.executable, "-m", "hfmemdebug", "report", "--json"]
        parsed, wall, _ = cost([sys.executable, "-c", _PARSE, str(folder)])
        print(f"parsing the JSON alone: {parsed:.1f} s CPU, {wall:.1f} s")
        files = sorted(folder.iterdir())[:_ONE_BY_ONE]
        single = sum(cost([*report, str(file)])[0] for file in files) / len(files)
        print(f"report FILE: {single:.2f} s CPU each, {single * options.ranks:,.0f} s for all")
        merged, wall, text = cost([*report, str(folder)])
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    document = json.loads(text)
    print(
        f"report FOLDER: {merged:.1f} s CPU, {wall:.1f} s, at most {peak:,.0f} MB in a process: {document['summary']}"
    )
    ratio = merged / (single * options.ranks)
    leaking = [entry["rank"] for entry in document["ranks"] if entry["verdict"] == "leak"]
    print(
        f"{ratio:.3f} of reports one by one (must reach {MUST_REACH_ONE_BY_ONE}), {merged / parsed:.1f} times the JSON"
    )
    print(f"leaking ranks found: {len(leaking)} of {len(range(50, options.ranks, 100))}")
    reached = ratio <= MUST_REACH_ONE_BY_ONE and peak <= MUST_REACH_MB
    print("reached" if reached else "NOT reached")
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
