"""Four ranks of torchrun on two nodes, of which one keeps what it reads: which one is it?

    python recipes/torchrun_ranks.py           # 15,000 rows a rank
    python recipes/torchrun_ranks.py --full    # 120,000 rows a rank

Two torchruns on this machine stand for two nodes (gloo, on the CPU). Every rank is run by `hfmemdebug run -o FOLDER`
and records into one folder; `hfmemdebug report FOLDER` makes one result of them.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

NODES, RANKS, LEAKING = 2, 2, 2
STEPS, FULL_STEPS = 150, 1_200
TRAIN = f"""
import sys, time
import datasets, torch
import torch.distributed as dist

dist.init_process_group("gloo")
torch.set_num_threads(1)
data, kept = datasets.load_from_disk(sys.argv[1]), []
for step in range(int(sys.argv[2])):
    batch = data[step * 100 % 2000 : step * 100 % 2000 + 100]
    if dist.get_rank() == {LEAKING}:
        kept.append([text + "." for text in batch["text"]])
    if step % 10 == 0:
        dist.all_reduce(torch.ones(1000))
    time.sleep(0.02)
dist.destroy_process_group()
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--full", action="store_true", help=f"{FULL_STEPS * 100:,} rows a rank")
    steps = FULL_STEPS if parser.parse_args().full else STEPS
    with tempfile.TemporaryDirectory(dir=".") as folder:
        Path(folder, "train.py").write_text(TRAIN)
        build = f"""
import datasets
rows = [f"row {{i}} " * 30 for i in range(2000)]
datasets.Dataset.from_dict({{"text": rows}}).save_to_disk("{folder}/ds")"""
        subprocess.run([sys.executable, "-c", build], check=True, capture_output=True)
        statuses = launch(folder, steps)
        print("torchruns ended with status", *statuses, "\n")
        report = [sys.executable, "-m", "hfmemdebug", "report", f"{folder}/ranks", "--json"]
        result = json.loads(subprocess.run(report, stdout=subprocess.PIPE, check=True).stdout)
    print(f"{result['summary']}\n")
    print("| rank | node | verdict | per 1000 rows | rows | peak PSS | recording |")
    print("| ---: | ---: | --- | ---: | ---: | ---: | --- |")
    for rank in result["ranks"]:
        rate = f"{rank['rate_bytes_per_iteration'] or 0:,.0f} B"
        peak = f"{rank['peak_pss_bytes'] / 2**20:,.0f} MB"
        cells = (rank["rank"], rank["node"], rank["verdict"], rate, f"{rank['rows']:,}", peak)
        print(f"| {' | '.join(map(str, cells))} | {Path(rank['recording']).name} |")
    worst = result["ranks"][0]
    claims = {
        "a leak in a rank does not end the others": statuses == [0] * NODES,
        f"rank {LEAKING} leaks, on the second node": (worst["rank"], worst["node"]) == (LEAKING, 1)
        and worst["verdict"] == "leak",
        "none of the others is called a leak": all(r["verdict"] != "leak" for r in result["ranks"][1:]),
        "the verdict on all of them is a leak": result["verdict"] == "leak",
    }
    print()
    for claim, holds in claims.items():
        print(f"{'holds' if holds else 'DOES NOT HOLD'}: {claim}")
    return 0 if all(claims.values()) else 1


def launch(folder: str, steps: int) -> list[int]:
    """Starts a torchrun for each node and waits for both; returns their exit statuses."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    nodes = []
    for node in range(NODES):
        torchrun = [
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--nnodes",
            str(NODES),
            "--node-rank",
            str(node),
        ]
        torchrun += ["--nproc-per-node", str(RANKS), "--master-addr", "127.0.0.1", "--master-port", str(port)]
        run = [
            "-m",
            "hfmemdebug",
            "run",
            "-o",
            f"{folder}/ranks",
            f"{folder}/train.py",
            f"{folder}/ds",
            str(steps),
        ]
        environ = {**os.environ, "OMP_NUM_THREADS": "1"}
        nodes.append(subprocess.Popen([*torchrun, *run], env=environ))
    return [node.wait() for node in nodes]


if __name__ == "__main__":
    sys.exit(main())
