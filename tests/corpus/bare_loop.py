"""Checks a label without hfmemdebug: a program's consumer in a bare loop, and what the process holds.

    python tests/corpus/bare_loop.py NAME [--epochs N]

Prints a line per epoch of 50 slices, and what the second half of them added per slice. The datasets are
those of `run.py`. Python's allocations are traced in a second run, since tracing costs memory itself.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import gc
import importlib.util
import itertools
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from corpus.judge import build_datasets
from corpus.labels import PROGRAMS, read_label
from corpus.run import _datasets_folder

SLICES, STEP = 50, 400


class _Mallinfo(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    ]


def read() -> dict[str, int]:
    """What this process and its children hold, in bytes and counts."""
    import pyarrow

    libc = ctypes.CDLL(None)
    libc.mallinfo2.restype = _Mallinfo
    info = libc.mallinfo2()
    figures = {
        "traced": tracemalloc.get_traced_memory()[0] if tracemalloc.is_tracing() else 0,
        "blocks": sys.getallocatedblocks(),
        "malloc": info.uordblks + info.hblkhd,
        "arrow": pyarrow.total_allocated_bytes(),
    }
    for line in Path("/proc/self/status").read_text().splitlines():
        field, _, value = line.partition(":")
        if field in ("RssAnon", "RssFile", "RssShmem"):
            figures[field] = int(value.split()[0]) * 1024
        elif field == "Threads":
            figures["threads"] = int(value)
    figures["fds"] = len(os.listdir("/proc/self/fd"))
    figures["maps"] = len(Path("/proc/self/maps").read_text().splitlines())
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    figures["children"] = len(children)
    for pid in children:
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Private_Dirty:"):
                    figures["ch.dirty"] = figures.get("ch.dirty", 0) + int(line.split()[1]) * 1024
    shm = os.statvfs("/dev/shm")
    figures["shm"] = (shm.f_blocks - shm.f_bfree) * shm.f_frsize
    return figures


def loop(name: str, epochs: int) -> None:
    """Runs the consumer and prints what is held after each epoch."""
    import datasets

    label = read_label(PROGRAMS / f"{name}.py")
    spec = importlib.util.spec_from_file_location(name, label.path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    consume = getattr(module, "consume", lambda batch: None)
    own = label.data == "own"
    data: Any = module.rows if own else datasets.load_from_disk(str(_datasets_folder() / label.data))
    if "--format" in label.options:
        data = data.with_format(label.options[label.options.index("--format") + 1])
    getattr(module, "setup", lambda: None)()
    readings = []
    for _ in range(epochs):
        slices = (
            itertools.islice(data(), SLICES)
            if own
            else (data[index * STEP : (index + 1) * STEP] for index in range(SLICES))
        )
        for rows in slices:
            consume(rows)
            del rows
        if gc.isenabled():
            gc.collect()
        readings.append(read())
        shown = {field: value - readings[0].get(field, 0) for field, value in readings[-1].items()}
        if len(readings) > 1:
            print(" ".join(f"{field} {value:+d}" for field, value in shown.items() if value), file=sys.stderr)
    half = readings[epochs // 2 :]
    per_slice = {
        field: (half[-1].get(field, 0) - half[0].get(field, 0)) / (SLICES * (len(half) - 1))
        for field in half[-1]
    }
    traced = "traced" if tracemalloc.is_tracing() else "counted"
    grown = " ".join(f"{field} {value:+.2f}" for field, value in per_slice.items() if abs(value) >= 0.01)
    print(f"{name} ({' or '.join(label.verdicts)}) {traced}: {grown}", file=sys.stderr)
    getattr(module, "teardown", lambda: None)()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("name")
    parser.add_argument("--epochs", type=int, default=8, metavar="N", help="of 50 slices (default: 8)")
    parser.add_argument("--traced", action="store_true", help="with tracemalloc, in this process")
    options = parser.parse_args()
    if options.traced:
        tracemalloc.start()
        loop(options.name, options.epochs)
        return
    build_datasets(_datasets_folder())
    loop(options.name, options.epochs)
    sys.stderr.flush()
    subprocess.run([sys.executable, __file__, options.name, "--traced", "--epochs", "4"], check=True)


if __name__ == "__main__":
    main()
