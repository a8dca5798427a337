"""Finds allocation sites of native leaks, by memray where it is installed: the user's line and the C frames below it.

memray sees what libraries ask malloc and mmap for, by the table through which they call them. It does not see
what is called by an address, as ctypes does: what it has found is compared with the rate.
"""

from __future__ import annotations

import contextlib
import gc
import importlib.util
import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ..inject._hfmemdebug_common import collector_runs
from ..leak import Site
from .sites import LEAST_SHARE, MOST_SITES, PARTS, make_site, place_of, warm_up

# So many frames next to the allocation, and so many next to the call in Python.
INNERMOST, OUTERMOST = 4, 3
# The looking up of names in large libraries takes seconds; what was found until then is shown.
READ_SECONDS = 60.0
# Tracing takes no longer, or it is given up.
MOST_SECONDS = 20.0
# memray notes the time at least so often, and nothing is allocated around a mark.
_NOTE_MS = 10
_QUIET_SECONDS = 0.1
# The interpreter's own way from a call in Python to a function in C says nothing.
_PLUMBING = re.compile(
    r"<unknown>|_?Py(Object|Eval|CFuncPtr|_)|_Py_|cfunction_|method_vectorcall|slot_tp_|wrap_|type_call|object_vacall"
    r"|trace_call_function|call_instrumentation|vectorcall_|ffi_call|_call_function_pointer|_ctypes_callproc"
    r"|ctypes_call"
)

Row = dict[str, Any]


def is_installed() -> bool:
    """Tells whether memray can be had here."""
    return importlib.util.find_spec("memray") is not None


@contextlib.contextmanager
def arrow_by_malloc() -> Iterator[None]:
    """Arrow's buffers come from malloc meanwhile: of the pools that it brings itself memray sees whole segments."""
    import pyarrow as pa

    before = pa.default_memory_pool()
    pa.set_memory_pool(pa.system_memory_pool())
    try:
        yield
    finally:
        pa.set_memory_pool(before)


def find_native_sites(walk: Callable[[], Iterator[None]], most: int) -> list[Site]:
    """Finds the lines of a native leak: reads slices under memray.

    Args:
        walk: Reads slices from the first one on and hands each to the consumer, as it is iterated over.
        most: How many to read in each part at most: one to warm up, and those that are compared.

    Returns:
        Sites with their C functions, the largest first. Only what grows in each of the parts.

    Raises:
        RuntimeError: memray could not be used here.
    """
    file, marks, slices = _record(walk, most)
    try:
        said = _read_apart(file, marks)
    finally:
        os.close(file)
    rows = [json.loads(line) for line in said.rpartition("\n")[0].splitlines()]
    sites: list[Row] = [row for row in rows if "file" in row]
    # The frames come later, site by site, as far as time allows.
    for row in rows:
        if "frames_of" in row:
            sites[row["frames_of"]]["native_frames"] = row["frames"]
    return [
        make_site(
            (site["file"], site["line"]),
            site["bytes"] / slices,
            site["count"] / slices,
            site["share"],
            kind="native",
            in_library=site["in_library"],
            native_frames=site.get("native_frames", ()),
        )
        for site in sites
    ]


def _record(walk: Callable[[], Iterator[None]], most: int) -> tuple[int, list[float], int]:
    """Reads slices under memray.

    Returns:
        Its file, open, the times between the parts, in ms since 1970, and how many slices each part has.
    """
    import memray

    if sys.getprofile() is not None:
        # memray takes the place of a profile function.
        raise RuntimeError("a profiler is running already")
    until = time.monotonic() + MOST_SECONDS
    file, path = tempfile.mkstemp(prefix="hfmemdebug-native-")
    try:
        marks = []
        destination = memray.FileDestination(path, overwrite=True, compress_on_exit=False)
        with memray.Tracker(destination=destination, native_traces=True, memory_interval_ms=_NOTE_MS):
            os.close(file)
            file = os.open(path, os.O_RDONLY)
            # Without a name it goes away with the last process that has it open, whatever that dies of.
            Path(path).unlink()
            # A library that asks for a million small blocks is slow to trace.
            slices = warm_up(walk, most)
            for part in range(PARTS + 1):
                for _ in itertools.islice(walk(), slices if part else 0):
                    if time.monotonic() > until:
                        raise RuntimeError(f"more than {MOST_SECONDS:.0f} s for {part * slices} slices")
                if collector_runs():
                    gc.collect()
                time.sleep(_QUIET_SECONDS / 2)
                marks.append(time.time() * 1000)
                time.sleep(_QUIET_SECONDS / 2)
    except BaseException:
        os.close(file)
        Path(path).unlink(missing_ok=True)
        raise
    return file, marks, slices


def _read_apart(file: int, marks: Sequence[float]) -> str:
    """Reads the file in a process of its own, for which it takes hundreds of MB and may take long."""
    code = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from hfmemdebug.origin.native import main; main()"
    command = [sys.executable, "-c", code, json.dumps(sys.path), f"/dev/fd/{file}", json.dumps(list(marks))]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=READ_SECONDS,
            stdin=subprocess.DEVNULL,
            pass_fds=(file,),
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        said = late.stdout or b""
        return said.decode() if isinstance(said, bytes) else said
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or ["memray's file could not be read"])[-1])
    return done.stdout


def main() -> None:
    """Prints what grew, a line of JSON a site, and then the C frames of each, a line as each is known."""
    sites, stacks = _grown(sys.argv[2], json.loads(sys.argv[3]))
    for site in sites:
        print(json.dumps(site), flush=True)
    for number, record in enumerate(stacks):
        print(json.dumps({"frames_of": number, "frames": native_frames(record)}), flush=True)
    # Freeing the tables takes as long as reading them.
    os._exit(0)


def _grown(path: str, marks: Sequence[float]) -> tuple[list[Row], list[Any]]:
    """Returns what grew from each mark to the next, by line of the user's, and the record of the most of each."""
    import memray

    reader = memray.FileReader(path)
    times = [snapshot.time for snapshot in reader.get_memory_snapshots()]
    # On a busy machine a note may come a little late: what was alive just then is not there at the other marks.
    ends = [min(range(len(times)), key=lambda i: abs(times[i] - mark)) for mark in marks]
    parts: dict[tuple[str, int, bool], list[list[int]]] = {}
    largest: dict[tuple[str, int, bool], tuple[int, Any]] = {}
    for record in reader.get_temporal_allocation_records(merge_threads=True):
        held = [_held(record.intervals, end) for end in ends]
        grown = [(b[0] - a[0], b[1] - a[1]) for a, b in itertools.pairwise(held)]
        if not any(size or count for size, count in grown):
            continue
        place, in_library = place_of((file, line) for _, file, line in record.stack_trace())
        if place is None:
            continue
        key = (*place, in_library)
        sums = parts.setdefault(key, [[0, 0] for _ in grown])
        for total, (size, count) in zip(sums, grown, strict=True):
            total[0] += size
            total[1] += count
        size = sum(size for size, _ in grown)
        if key not in largest or size > largest[key][0]:
            largest[key] = (size, record)
    # What grew only once is no leak's: it counts by the part in which it grew least.
    least = {key: [min(column) for column in zip(*sums, strict=True)] for key, sums in parts.items()}
    ranked = sorted((key for key in least if least[key][0] > 0), key=lambda key: -least[key][0])
    total = sum(least[key][0] for key in ranked)
    shown = [key for key in ranked if least[key][0] >= LEAST_SHARE * total][:MOST_SITES]
    sites = [
        {
            "file": key[0],
            "line": key[1],
            "in_library": key[2],
            "bytes": least[key][0],
            "count": max(least[key][1], 0),
            "share": round(least[key][0] / total, 3),
        }
        for key in shown
    ]
    return sites, [largest[key][1] for key in shown]


def _held(intervals: Sequence[Any], end: int) -> tuple[int, int]:
    """Bytes and blocks that are there at a snapshot."""
    there = [
        interval
        for interval in intervals
        if interval.allocated_before_snapshot <= end
        and (interval.deallocated_before_snapshot is None or interval.deallocated_before_snapshot > end)
    ]
    return sum(interval.n_bytes for interval in there), sum(interval.n_allocations for interval in there)


def native_frames(record: Any) -> list[str]:
    """The C functions between an allocation and the line of Python that called them, the innermost first."""
    python = set(record.stack_trace())
    below = itertools.takewhile(lambda frame: frame not in python, record.hybrid_stack_trace())
    names = [short_name(name) for name, _, _ in below if not _PLUMBING.match(name)]
    frames = [name for name, _ in itertools.groupby(names)]
    if len(frames) <= INNERMOST + OUTERMOST:
        return frames
    return [*frames[:INNERMOST], "…", *frames[-OUTERMOST:]]


def short_name(name: str) -> str:
    """A C or C++ function's name without its arguments: ``arrow::PoolBuffer::Reserve``."""
    name = name.removeprefix("__GI_").partition(" [clone")[0]
    cython = re.match(r"__pyx_(?:pw|pf|f)_", name)
    if cython:
        return _cython_name(name[cython.end() :].partition("(")[0])
    while (shorter := re.sub(r"<[^<>]*>|\((?!anonymous namespace)[^()]*\)", "", name)) != name:
        name = shorter
    return name.removeprefix("__").strip()[:80]


def _cython_name(mangled: str) -> str:
    """``pyarrow.lib.array`` of ``7pyarrow_3lib_199array``: parts with their lengths, then a number and the name."""
    parts = []
    while length := re.match(r"\d+", mangled):
        after = mangled[length.end() :]
        size = int(length.group())
        if after[size : size + 1] != "_":
            mangled = after
            break
        parts.append(after[:size])
        mangled = after[size + 1 :]
    return ".".join([*parts, mangled])
