"""How long `--help` and `import hfmemdebug` take, beside a bare interpreter and `import datasets`.

Run by hand, on a machine that does nothing else:

    python tests/benchmarks/bench_startup.py

Each in a fresh process, taking turns, with bytecode compiled: one round that does not count sees to that.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time

MOST_SECONDS = {"hfmemdebug --help": 0.15, "hfmemdebug diagnose --help": 0.25}
COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import hfmemdebug": ["-c", "import hfmemdebug"],
    "import datasets": ["-c", "import datasets"],
    "hfmemdebug --help": ["-m", "hfmemdebug", "--help"],
    "hfmemdebug diagnose --help": ["-m", "hfmemdebug", "diagnose", "--help"],
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=11, help="rounds that count (default 11)")
    options = parser.parse_args()
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for counted in range(options.rounds + 1):
        for name in COMMANDS if counted % 2 else reversed(COMMANDS):
            began = time.perf_counter()
            subprocess.run(
                [sys.executable, *COMMANDS[name]], env=environment, stdout=subprocess.DEVNULL, check=True
            )
            if counted:
                seconds[name].append(time.perf_counter() - began)
    print(f"medians of {options.rounds} rounds, wall time; ratio to `import datasets` in the same rounds")
    for name, spent in seconds.items():
        middle = statistics.median(spent)
        ratio = statistics.median(a / b for a, b in zip(spent, seconds["import datasets"], strict=True))
        goal = ""
        if name in MOST_SECONDS:
            reached = "reached" if middle <= MOST_SECONDS[name] else "NOT reached"
            goal = f"  (at most {MOST_SECONDS[name]:.2f} s: {reached})"
        print(f"  {name:28} {middle:6.3f} s  {ratio:6.3f}{goal}")


if __name__ == "__main__":
    main()
