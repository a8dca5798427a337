"""`hfmemdebug run` on a program with four forked workers, beside the bare program, memray and Scalene.

    python tests/benchmarks/bench_run.py [--rounds 5] [--workers 4] [--dir DIR]

The workers read a mapped dataset, ten samples a second are taken of each. The ways take turns; what counts are ratios
within a round. Time is taken until the program's end: what comes after it (judging, writing reports) is told apart.
CPU time is that of the program, its workers, and of whatever watches them.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# Times the bare program's, and seconds beside that at the start, wall and CPU.
MUST_REACH, AT_START = 1.02, 0.3
# A profiler that starts the workers' program over and over must not take the machine with it.
_MOST_BYTES, _MOST_SECONDS = 3 << 30, 240
_PROGRAM = """
import json, multiprocessing, os, sys, time
began = time.time()
import datasets
ds = datasets.load_from_disk(sys.argv[1])
def work(number):
    for step in range(int(sys.argv[2])):
        start = (step * 4 + number) * 200 % len(ds)
        batch = ds[start : start + 200]
count = int(sys.argv[4])
workers = [multiprocessing.get_context("fork").Process(target=work, args=(n,)) for n in range(count)]
for worker in workers: worker.start()
if not workers: work(0)
for worker in workers: worker.join()
parent = open(f"/proc/{os.getppid()}/stat").read().rpartition(")")[2].split()
times = os.times()
watcher = (int(parent[11]) + int(parent[12])) / os.sysconf("SC_CLK_TCK")
figures = {"began": began, "ended": time.time(), "cpu": sum(times[:4]), "watcher": watcher}
open(sys.argv[3], "w").write(json.dumps(figures))
"""


def ways(folder: Path) -> dict[str, list[str]]:
    """How each is called, before the program's own arguments."""
    program = str(folder / "program.py")
    found = {
        "bare": [sys.executable, program],
        "hfmemdebug run": [sys.executable, "-m", "hfmemdebug", "run", "-q", program],
    }
    if importlib.util.find_spec("memray"):
        memray = [sys.executable, "-m", "memray", "run", "-q", "-f", "--follow-fork"]
        found["memray --follow-fork"] = [*memray, "-o", str(folder / "memray.bin"), program]
    if importlib.util.find_spec("scalene"):
        found["Scalene"] = [
            sys.executable,
            "-m",
            "scalene",
            "run",
            "-o",
            str(folder / "scalene.json"),
            program,
        ]
    return found


def _bounded() -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (_MOST_BYTES, _MOST_BYTES))


def measure(name: str, command: list[str], folder: Path, steps: int, workers: int) -> dict[str, float] | None:
    """Seconds: to the program's first line, to its last one, of CPU, and from its end to that of what watched it."""
    figures = folder / "figures.json"
    figures.unlink(missing_ok=True)
    environ = {**os.environ, "XDG_STATE_HOME": str(folder / "state")}
    # What pip has installed is compiled.
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    separator = ["---"] if name == "Scalene" else []
    began = time.time()
    whole = [*command, *separator, str(folder / "ds"), str(steps), str(figures), str(workers)]
    with subprocess.Popen(
        whole, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=folder,
        start_new_session=True, preexec_fn=_bounded,
    ) as process:  # fmt: skip
        try:
            said = process.communicate(timeout=_MOST_SECONDS)[1]
        except subprocess.TimeoutExpired:
            said = f"it took more than {_MOST_SECONDS} s"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    ended = time.time()
    for left in folder.glob("memray.bin*"):
        left.unlink()
    if not figures.exists():
        print(f"{name} did not run the program to its end: {said.strip()[-300:]}")
        return None
    seen = json.loads(figures.read_text())
    watcher = seen["watcher"] if name == "hfmemdebug run" else 0.0
    return {
        "start": seen["began"] - began,
        "wall": seen["ended"] - began,
        "cpu": seen["cpu"] + watcher,
        "watcher": watcher,
        "after": ended - seen["ended"],
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=24000, help="slices that each worker reads")
    parser.add_argument("--workers", type=int, default=4, help="0: the main process reads, alone")
    parser.add_argument("--dir", type=Path, default=Path())
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.dir) as place:
        folder = Path(place).resolve()
        (folder / "program.py").write_text(_PROGRAM)
        import hfmemdebug

        hfmemdebug.synthesize(folder / "ds", rows=100_000)
        called = ways(folder)
        for missing in {"memray --follow-fork", "Scalene"} - set(called):
            print(f"{missing} is not installed and left out")
        rounds: list[dict[str, dict[str, float]]] = []
        for number in range(options.rounds + 1):
            round_ = {
                name: m
                for name, c in called.items()
                if (m := measure(name, c, folder, options.steps, options.workers))
            }
            called = {name: command for name, command in called.items() if name in round_}
            # The first one warms the bytecode and the page cache.
            if number:
                rounds.append(round_)
                print(
                    f"round {number}: " + ", ".join(f"{n} {m['cpu']:.2f} s CPU" for n, m in round_.items()),
                    flush=True,
                )
    print(f"\n{options.rounds} rounds, load {os.getloadavg()[0]:.1f}. Medians:\n")
    print(
        "| | wall, s | CPU, s | wall / bare | CPU / bare | of it the watcher, s | at start, s | after its end, s |"
    )
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name in called:
        mid = {key: statistics.median(r[name][key] for r in rounds) for key in rounds[0][name]}
        wall, cpu = (statistics.median(r[name][k] / r["bare"][k] for r in rounds) for k in ("wall", "cpu"))
        print(
            f"| {name} | {mid['wall']:.2f} | {mid['cpu']:.2f} | {wall:.3f} | {cpu:.3f} | {mid['watcher']:.2f} "
            f"| {mid['start']:.2f} | {mid['after']:.2f} |"
        )
    over = {
        key: statistics.median((r["hfmemdebug run"][key] - AT_START) / r["bare"][key] for r in rounds)
        for key in ("wall", "cpu")
    }
    # What else goes on only ever adds.
    least = {
        key: (min(r["hfmemdebug run"][key] for r in rounds) - AT_START) / min(r["bare"][key] for r in rounds)
        for key in ("wall", "cpu")
    }
    reached = all(value <= MUST_REACH for value in over.values())
    told = ", ".join(f"{key} {value:.3f}" for key, value in over.items())
    print(f"\nhfmemdebug run less {AT_START} s, times the bare program (must reach {MUST_REACH}): {told}")
    print(
        "of each the least of all rounds: " + ", ".join(f"{key} {value:.3f}" for key, value in least.items())
    )
    print("reached" if reached else "NOT reached")
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
