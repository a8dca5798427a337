"""A list of Python objects, an array and a mapped Arrow dataset, read by four forked workers: who copies what?

    python recipes/copy_on_write.py           # 300,000 texts
    python recipes/copy_on_write.py --full    # 3,000,000 texts

A worker that is forked shares its parent's pages until one of them writes. Reading a Python object writes its
reference count, so that a list is copied page by page as it is read, in every worker, and no counter of the
worker's own memory shows it. Arrays and Arrow have no such counts.
"""

from __future__ import annotations

import argparse
import gc
import json
import multiprocessing
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

TEXTS, FULL_TEXTS = 300_000, 3_000_000
WORKERS = 4
KINDS = ("list of str", "numpy array", "mapped dataset")
PARTS = 25
# Seconds between two parts: as long as there is something to be seen from outside.
PAUSE = 0.1


def look() -> dict[str, float]:
    status, rollup = (Path(f"/proc/self/{name}").read_text() for name in ("status", "smaps_rollup"))

    def number(text: str, name: str) -> float:
        match = re.search(rf"^{name}:\s+(\d+) kB", text, re.MULTILINE)
        return int(match[1]) / 1024 if match else 0.0

    return {
        "RSS": number(status, "VmRSS"),
        "anonymous": number(status, "RssAnon"),
        "PSS": number(rollup, "Pss"),
        "private dirty": number(rollup, "Private_Dirty"),
    }


def make(kind: str, count: int, folder: str) -> tuple[float, Callable[[int, int], int]]:
    """The data, as its size in MB and what reads a part of it."""
    texts = (f"text number {index:08d}, a few words long" for index in range(count))
    if kind == "list of str":
        held = list(texts)
        return sum(map(sys.getsizeof, held)) / 2**20, lambda low, high: sum(
            len(held[i]) for i in range(low, high)
        )
    if kind == "numpy array":
        import numpy as np

        array = np.array(list(texts), dtype="S")
        return array.nbytes / 2**20, lambda low, high: sum(len(array[i]) for i in range(low, high))
    import datasets

    datasets.disable_progress_bars()
    datasets.Dataset.from_dict({"text": list(texts)}).save_to_disk(f"{folder}/ds")
    mapped = datasets.load_from_disk(f"{folder}/ds")
    return mapped.data.nbytes / 2**20, lambda low, high: sum(map(len, mapped[low:high]["text"]))


def work(kind: str, count: int, folder: str) -> None:
    """Makes the data, forks the workers, and prints what each had before and after it has read everything."""
    size, read = make(kind, count, folder)
    # The collector writes to every object that it walks: its first walk in a worker would copy what imports have made,
    # tens of MB, beside the data.
    gc.freeze()
    context = multiprocessing.get_context("fork")
    answers, barrier = context.Queue(), context.Barrier(WORKERS)

    def worker() -> None:
        barrier.wait()
        before = look()
        for part in range(PARTS):
            read(part * count // PARTS, (part + 1) * count // PARTS)
            time.sleep(PAUSE)
        # All are looked at while all are there: PSS depends on who else has a page.
        barrier.wait()
        answers.put((before, look()))
        barrier.wait()

    workers = [context.Process(target=worker) for _ in range(WORKERS)]
    for process in workers:
        process.start()
    seen = [answers.get() for _ in workers]
    for process in workers:
        process.join()
    print(json.dumps({"size": size, "workers": seen, "main": look()}), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--full", action="store_true", help=f"{FULL_TEXTS:,} texts instead of {TEXTS:,}")
    parser.add_argument("--work", nargs=3, metavar=("KIND", "COUNT", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        kind, count, folder = options.work
        work(kind, int(count), folder)
        return 0
    count = FULL_TEXTS if options.full else TEXTS
    print(
        f"{count:,} texts, read once by each of {WORKERS} forked workers. MB, of one worker, before → after:\n"
    )
    print("| data | size | RSS | anonymous | private dirty | PSS | hfmemdebug run |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | --- |")
    found: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory(dir=".") as folder:
        for kind in KINDS:
            result = Path(folder, "result.json")
            command = [
                sys.executable,
                "-m",
                "hfmemdebug",
                "run",
                "-q",
                "-o",
                str(result),
                __file__,
                "--work",
                kind,
            ]
            # The report's line goes to standard error, and is shown below in the table.
            done = subprocess.run([*command, str(count), folder], capture_output=True, text=True, check=False)
            answer = json.loads(done.stdout.splitlines()[-1])
            judged = json.loads(result.read_text())
            copied = [f for f in judged["findings"] if f["cause"] == "copy-on-write"]
            found[kind] = {**answer, "judged": judged, "named": bool(copied)}
            before, after = answer["workers"][0]
            cells = (
                f"{before[n]:,.0f} → {after[n]:,.0f}" for n in ("RSS", "anonymous", "private dirty", "PSS")
            )
            says = (
                f"copies pages ({copied[0]['growth_bytes'] / 2**20:,.0f} MB in all)"
                if copied
                else "copies nothing"
            )
            print(f"| {kind} | {answer['size']:,.0f} | {' | '.join(cells)} | {says} |", flush=True)
    return check(found)


def check(found: dict[str, dict[str, Any]]) -> int:
    def grown(kind: str, name: str) -> float:
        return min(after[name] - before[name] for before, after in found[kind]["workers"])

    size = found["list of str"]["size"]
    claims = {
        "each worker copies most of the list by reading it": grown("list of str", "private dirty")
        > 0.7 * size,
        "its anonymous memory does not show that": grown("list of str", "anonymous") < 0.3 * size,
        "nothing of the array is copied": grown("numpy array", "private dirty") < 0.2 * size,
        "nothing of the dataset is copied": grown("mapped dataset", "private dirty") < 0.2 * size,
        "hfmemdebug names the copies of the list": found["list of str"]["named"],
        "and calls none of the three a leak": all(f["judged"]["verdict"] != "leak" for f in found.values()),
    }
    print()
    for claim, holds in claims.items():
        print(f"{'holds' if holds else 'DOES NOT HOLD'}: {claim}")
    return 0 if all(claims.values()) else 1


if __name__ == "__main__":
    os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
    sys.exit(main())
