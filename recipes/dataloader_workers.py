"""datasets#4883: RSS grows with every batch of a DataLoader with four workers over a mapped dataset. Is it a leak?

    python recipes/dataloader_workers.py           # 4,000 rows of 40 KB, 160 MB
    python recipes/dataloader_workers.py --full    # 40,000 rows, 1.6 GB

The program is the reported one: shuffled, a transform that turns texts into numbers, `num_workers=4`, several epochs.
It runs under `hfmemdebug run`, and reads beside that what its process and its workers have.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROWS, FULL_ROWS = 4_000, 40_000
EPOCHS, BATCH, WORKERS = 3, 32, 4
MB = 2**20


def build(folder: str, rows: int) -> None:
    import hfmemdebug

    hfmemdebug.synthesize(folder, rows=rows, row={"text": "some words " * 3_700, "label": 1})


def train(folder: str) -> None:
    """The reported program; it prints a reading four times an epoch."""
    import datasets
    from torch.utils.data import DataLoader

    dataset = datasets.load_from_disk(folder)
    dataset.set_transform(
        lambda rows: {"input_ids": [list(map(len, text[:700].split())) for text in rows["text"]]}
    )
    loader = DataLoader(
        dataset, batch_size=BATCH, shuffle=True, num_workers=WORKERS, collate_fn=lambda batch: batch
    )
    # The last batches are left out: workers that have no more to do end, and with them what they had.
    shown = (0, len(loader) // 4, len(loader) // 2, len(loader) - 1 - 2 * WORKERS)
    for epoch in range(EPOCHS):
        for number, _ in enumerate(loader):
            if number in shown:
                print(json.dumps({"epoch": epoch + 1, "batch": number, **read_tree()}), flush=True)


def read_tree() -> dict[str, float]:
    """MB of this process and its children: RSS and its parts summed, and PSS, which counts shared pages once."""
    children = Path("/proc/thread-self/children").read_text().split()
    found: dict[str, float] = {"main": 0.0, "rss": 0.0, "file": 0.0, "anon": 0.0, "pss": 0.0}
    for pid in [str(os.getpid()), *children]:
        status = Path(f"/proc/{pid}/status").read_text()
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        found["main"] = found["main"] or number(status, "VmRSS")
        found["rss"] += number(status, "VmRSS")
        found["file"] += number(status, "RssFile")
        found["anon"] += number(status, "RssAnon")
        found["pss"] += number(rollup, "Pss")
    return {name: round(value, 1) for name, value in found.items()}


def number(text: str, name: str) -> float:
    match = re.search(rf"^{name}:\s+(\d+) kB", text, re.MULTILINE)
    return int(match[1]) / 1024 if match else 0.0


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--full", action="store_true", help=f"{FULL_ROWS:,} rows instead of {ROWS:,}")
    parser.add_argument("--train", metavar="FOLDER", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.train:
        train(options.train)
        return 0
    rows = FULL_ROWS if options.full else ROWS
    with tempfile.TemporaryDirectory(dir=".") as folder:
        build(f"{folder}/ds", rows)
        size = sum(file.stat().st_size for file in Path(folder, "ds").glob("*.arrow")) / MB
        result = f"{folder}/result.json"
        command = [
            sys.executable,
            "-m",
            "hfmemdebug",
            "run",
            "-q",
            "-o",
            result,
            __file__,
            "--train",
            f"{folder}/ds",
        ]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        judged = json.loads(Path(result).read_text())
    readings = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    print(f"{rows:,} rows, {size:,.0f} MB mapped, {WORKERS} workers, {EPOCHS} epochs. MB:\n")
    print("| epoch | batch | RSS of main | sum of RSS | of it file pages | of it anonymous | sum of PSS |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for reading in readings:
        cells = (f"{reading[name]:,.0f}" for name in ("main", "rss", "file", "anon", "pss"))
        print(f"| {reading['epoch']} | {reading['batch']:,} | {' | '.join(cells)} |")
    print(f"\nhfmemdebug run: {judged['summary']}")
    return check(readings, size, judged)


def check(readings: list[dict[str, Any]], size: float, judged: dict[str, Any]) -> int:
    first, last = readings[0], readings[-1]
    ends = [reading for reading in readings if reading["batch"] == last["batch"]]
    epochs = [(a, b) for a in readings for b in ends if a["batch"] == 0 and a["epoch"] == b["epoch"]]
    grown = {name: min(b[name] - a[name] for a, b in epochs) for name in ("rss", "file")}
    claims = {
        "in each epoch the sum of RSS grows from batch to batch": grown["rss"] > size / 2,
        "what grows are pages of the mapped file, counted anew in each worker": grown["file"]
        > 0.8 * grown["rss"],
        "PSS, which counts them once, is less than half of the sum": last["pss"] < last["rss"] / 2,
        "anonymous memory is the same in the last epoch as in the first": abs(
            ends[-1]["anon"] - ends[0]["anon"]
        )
        < 0.05 * first["anon"],
        "hfmemdebug does not call it a leak": judged["verdict"] != "leak",
    }
    print()
    for claim, holds in claims.items():
        print(f"{'holds' if holds else 'DOES NOT HOLD'}: {claim}")
    return 0 if all(claims.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
