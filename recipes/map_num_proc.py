"""`Dataset.map(num_proc=4)`: what do its workers need, what stays when they are done, and what lowers it?

    python recipes/map_num_proc.py           # 1,200 rows, 64 KB each once mapped
    python recipes/map_num_proc.py --full    # 12,000 rows

Each worker of `map` keeps `writer_batch_size` finished rows (1000, if nothing is said) before it writes them. With
large rows that is what memory runs out by; it is given back, and mapping again takes no more.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

ROWS, FULL_ROWS = 1_200, 12_000
ROW_BYTES = 64 * 1024
# Processes, and rows that a worker keeps before it writes.
WAYS = ((1, 1000), (4, 1000), (4, 20))
TIMES = 3
LOOKS_APART = 0.05


def number(text: str, name: str) -> float:
    match = re.search(rf"^{name}:\s+(\d+) kB", text, re.MULTILINE)
    return int(match[1]) / 1024 if match else 0.0


class Peak(threading.Thread):
    """The most that this process and its children have of anonymous memory, shared pages once, in MB."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.highest, self.processes, self.done = 0.0, 0, threading.Event()

    def run(self) -> None:
        """Looks until `done` is set."""
        while not self.done.wait(LOOKS_APART):
            pids = [
                str(os.getpid()),
                *Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split(),
            ]
            total = 0.0
            for pid in pids:
                try:
                    total += number(Path(f"/proc/{pid}/smaps_rollup").read_text(), "Pss_Anon")
                except OSError:
                    continue
            self.highest, self.processes = max(self.highest, total), max(self.processes, len(pids) - 1)


def work(processes: int, kept: int, rows: int, folder: str) -> None:
    """Maps a few times over; prints the peak of each and what was left afterwards."""
    import datasets

    datasets.disable_progress_bars()
    dataset = datasets.load_from_disk(f"{folder}/ds")
    found = []
    for time in range(TIMES):
        peak = Peak()
        peak.start()
        before = number(Path("/proc/self/status").read_text(), "RssAnon")
        mapped = dataset.map(
            lambda row: {"pixels": bytes([row["foo"] % 256]) * ROW_BYTES},
            num_proc=processes if processes > 1 else None,
            writer_batch_size=kept,
            cache_file_name=f"{folder}/mapped-{processes}-{kept}-{time}.arrow",
        )
        assert len(mapped) == rows
        del mapped
        peak.done.set()
        peak.join()
        left = number(Path("/proc/self/status").read_text(), "RssAnon")
        found.append({"peak": peak.highest - before, "workers": peak.processes, "left": left})
    print(json.dumps(found), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--full", action="store_true", help=f"{FULL_ROWS:,} rows instead of {ROWS:,}")
    parser.add_argument(
        "--work", nargs=4, metavar=("PROCESSES", "KEPT", "ROWS", "FOLDER"), help=argparse.SUPPRESS
    )
    options = parser.parse_args()
    if options.work:
        processes, kept, rows, folder = options.work
        work(int(processes), int(kept), int(rows), folder)
        return 0
    rows = FULL_ROWS if options.full else ROWS
    found: dict[tuple[int, int], list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory(dir=".") as folder:
        build = f"datasets.Dataset.from_dict({{'foo': list(range({rows}))}}).save_to_disk('{folder}/ds')"
        subprocess.run([sys.executable, "-c", f"import datasets; {build}"], check=True, capture_output=True)
        print(f"{rows:,} rows are mapped to {ROW_BYTES // 1024} KB each, {TIMES} times. MB, anonymous:\n")
        print(
            "| num_proc | writer_batch_size | peak, above what was there | left in the main process after each time |"
        )
        print("| ---: | ---: | --- | --- |")
        for processes, kept in WAYS:
            command = [sys.executable, __file__, "--work", str(processes), str(kept), str(rows), folder]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            times = found[processes, kept] = json.loads(done.stdout.splitlines()[-1])
            cells = [", ".join(f"{time[name]:,.0f}" for time in times) for name in ("peak", "left")]
            print(f"| {processes} | {kept} | {' | '.join(cells)} |", flush=True)
    return check(found, rows)


def check(found: dict[tuple[int, int], list[dict[str, Any]]], rows: int) -> int:
    highest = {way: max(time["peak"] for time in times) for way, times in found.items()}
    kept = ROW_BYTES * min(1000, rows // 4) / 2**20
    many = found[4, 1000]
    claims = {
        "four workers keep four times what one writer keeps": highest[4, 1000] > 4 * kept,
        "a smaller writer_batch_size lowers that to less than a half": highest[4, 20] < highest[4, 1000] / 2,
        "it is given back: no worker is left, and mapping again needs no more": many[-1]["peak"]
        < 1.3 * many[0]["peak"],
        "the main process keeps less than 10 MB from the second time to the third": many[-1]["left"]
        - many[-2]["left"]
        < 10,
    }
    print()
    for claim, holds in claims.items():
        print(f"{'holds' if holds else 'DOES NOT HOLD'}: {claim}")
    return 0 if all(claims.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
