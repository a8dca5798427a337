"""`hfmemdebug synth` beside the article's way and `dd`, each in a fresh process.

Run by hand, on a machine that does nothing else and has 8 GB of memory and 5 GB of disk to spare:

    python tests/benchmarks/bench_synth.py

None of the three forces its data to the disk by itself (no fsync). `synth` and `dd` are compared both as
they are and until their data are on the disk, for which this script calls fsync after either of them.

Before each run the disk is brought to rest, and a file of the same size is written and removed, so that the
memory for the page cache is at hand: virtual machines get it from their host page by page, and give it
back after some seconds, which is four times slower. One round that does not count warms the bytecode.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ARTICLE = """
import sys
from datasets import Dataset
row = dict(foo=[dict(a='a' * 500, b='b' * 1000)])
Dataset.from_dict({k: [v] * int(sys.argv[2]) for k, v in row.items()}).save_to_disk(sys.argv[1])
"""
MOST_OF_ARTICLE_TIME = 1 / 5
MOST_OF_ARTICLE_PEAK = 1 / 20
MOST_OF_DD_TIME = 1.3


def measure(command: list[str], out: Path, size: int) -> tuple[float, float, float]:
    """Runs a command whose output is removed afterwards.

    Returns:
        Wall time in seconds; the same until the data are on the disk; peak RSS in MB.
    """
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    warm = bytes(1 << 20)
    with out.open("wb") as file:
        for _ in range(size >> 20):
            file.write(warm)
    out.unlink()
    os.sync()
    start = time.perf_counter()
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=out.parent
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - start
    if status:
        raise SystemExit(f"failed: {' '.join(command)}")
    for path in out.iterdir() if out.is_dir() else [out]:
        with path.open("rb") as file:
            os.fsync(file.fileno())
    on_disk = time.perf_counter() - start
    shutil.rmtree(out) if out.is_dir() else out.unlink()
    return seconds, on_disk, usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def dataset_bytes(out: Path, rows: int) -> int:
    subprocess.run([*SYNTH, str(out), "--rows", str(rows), "-q"], check=True, stdout=subprocess.DEVNULL)
    size = sum(path.stat().st_size for path in out.glob("*.arrow"))
    shutil.rmtree(out)
    return size


SYNTH = [sys.executable, "-m", "hfmemdebug", "synth"]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3, help="rounds that count (default 3)")
    parser.add_argument("--dir", default=".", help="where to write (default: the current folder)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=Path(options.dir).resolve()) as folder:
        out = Path(folder, "out")
        size = dataset_bytes(out, options.rows)
        synth = [*SYNTH, str(out), "--rows", str(options.rows), "-q"]
        dd = ["dd", "if=/dev/zero", f"of={out}", "bs=1M", f"count={-(-size // 2**20)}"]
        article = [sys.executable, "-c", ARTICLE, str(out), str(options.rows)]
        # The short ones are measured more often, in an order that favours neither.
        order = {"article": article, "synth": synth, "dd": dd}
        sequence = ["article", "synth", "dd", "dd", "synth", "synth", "dd", "dd", "synth"]
        runs: dict[str, list[tuple[float, float, float]]] = {name: [] for name in order}
        for counted in range(options.rounds + 1):
            for name in sequence:
                result = measure(order[name], out, size)
                if counted:
                    runs[name].append(result)
                    print("  {:8} {:7.2f} s {:7.2f} s {:8.0f} MB".format(name, *result), file=sys.stderr)
    time_, on_disk, peak = (
        {name: statistics.median(run[figure] for run in results) for name, results in runs.items()}
        for figure in range(3)
    )
    print(f"{options.rows:,} rows, {size / 2**20:,.0f} MB; medians of {options.rounds} rounds")
    for name in order:
        print(
            f"  {name:8} {time_[name]:7.2f} s  with fsync {on_disk[name]:7.2f} s  peak RSS {peak[name]:6.0f} MB"
        )
    ratios = (
        ("time, synth / article", time_["synth"] / time_["article"], MOST_OF_ARTICLE_TIME),
        ("peak RSS, synth / article", peak["synth"] / peak["article"], MOST_OF_ARTICLE_PEAK),
        ("time with fsync, synth / dd", on_disk["synth"] / on_disk["dd"], MOST_OF_DD_TIME),
        ("time without, synth / dd", time_["synth"] / time_["dd"], MOST_OF_DD_TIME),
    )
    for what, ratio, most in ratios:
        print(
            f"{what:28} {ratio:6.3f}  (at most {most:.2f}: {'reached' if ratio <= most else 'NOT reached'})"
        )


if __name__ == "__main__":
    main()
