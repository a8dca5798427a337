"""The loop of `hfmemdebug profile` beside the bare loop over the same slices, in CPU time.

Run by hand; 2 GB of disk and of memory to spare:

    python tests/benchmarks/bench_profile_loop.py

Both loops run in one process, in pairs whose order alternates, each from the same settled state, so that
what a loop finds in the heap and in the page cache is alike. The samples go to a recording and through a
pipe to another process, as they do in `profile`; what that process makes of them is not counted.
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
from typing import Any

from hfmemdebug.data.spec import DatasetSpec
from hfmemdebug.decode import encode
from hfmemdebug.measure.arm import Arm
from hfmemdebug.measure.protocol import Channel
from hfmemdebug.measure.settings import Settings
from hfmemdebug.probes.process import ProcessProbe
from hfmemdebug.recording.header import ArmInfo
from hfmemdebug.workload.settle import settle_once
from hfmemdebug.workload.slices import SlicePlan

SLICES = 50
MOST_OF_BARE_LOOP = 1.03


def profile_arm(dataset: Path, folder: Path, events: int) -> Arm:
    """An arm of `profile` with the dataset loaded, whose clock counts CPU time."""
    settings = Settings(DatasetSpec(str(dataset)))
    header = settings.header("profile", ArmInfo("memory-mapped", "mmap", consumer=False))
    task: dict[str, Any] = {
        "spec": encode(settings.spec),
        "mode": "mmap",
        "consumer": None,
        "recording": str(folder / "recording.jsonl"),
        "header": encode(header),
    }
    arm = Arm(Channel(os.open(os.devnull, os.O_RDONLY), events), task)
    arm.probe = ProcessProbe(clock=time.process_time)
    arm.load()
    return arm


def profile_loop(arm: Arm, plan: SlicePlan, epoch: int) -> float:
    """CPU seconds of the loop of one epoch, without what comes before and after it."""
    before = arm._loop_seconds
    # As the last epoch, after which the pages stay mapped: the bare loop must find them as this one did.
    arm.epoch(epoch, plan.to_dict(), warmup=4, last=True, bytes_per_row=0.0)
    return arm._loop_seconds - before


def bare_loop(dataset: Any, step: int) -> float:
    """CPU seconds of the loop as people write it."""
    began = time.process_time()
    for i in range(0, len(dataset), step):
        _ = dataset[i : i + step]
    return time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--pairs", type=int, default=15, help="pairs that count (default 15)")
    parser.add_argument("--dir", default=".", help="where to write (default: the current folder)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=Path(options.dir).resolve()) as name:
        folder = Path(name)
        dataset = folder / "dataset"
        subprocess.run(
            [sys.executable, "-m", "hfmemdebug", "synth", str(dataset), "--rows", str(options.rows), "-q"],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as supervisor:
            assert supervisor.stdin is not None
            arm = profile_arm(dataset, folder, supervisor.stdin.fileno())
            step = options.rows // SLICES
            plan = SlicePlan(options.rows, step, SLICES)
            seconds: dict[str, list[float]] = {"profile": [], "bare": []}
            for pair in range(options.pairs + 1):
                order = ["profile", "bare"] if pair % 2 else ["bare", "profile"]
                for loop in order:
                    settle_once(arm.probe)
                    if loop == "profile":
                        # Epoch 1 also writes the header, which is not the loop's.
                        spent = profile_loop(arm, plan, pair + 1)
                    else:
                        spent = bare_loop(arm.dataset, step)
                    if pair:
                        seconds[loop].append(spent)
                        print(f"  {loop:8} {spent:7.3f} s", file=sys.stderr)
            arm.close()
    ratio = statistics.median(a / b for a, b in zip(seconds["profile"], seconds["bare"], strict=True))
    print(f"{options.rows:,} rows in {SLICES} slices; medians of {options.pairs} pairs, CPU time")
    for loop, spent_all in seconds.items():
        print(f"  {loop:8} {statistics.median(spent_all):7.3f} s")
    print(
        f"{'CPU time, profile / bare':28} {ratio:6.3f}  (at most {MOST_OF_BARE_LOOP:.2f}: "
        f"{'reached' if ratio <= MOST_OF_BARE_LOOP else 'NOT reached'})"
    )


if __name__ == "__main__":
    main()
