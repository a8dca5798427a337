"""The measured quantities: what each counter of a sample is, where it is read, and what a reading costs.

One table, after pyperf's: the samples' fields are these names, reports take their labels from here, and a test holds
the two together. What costs milliseconds is read at the ends of epochs, or on a clock that adapts to its cost; the
rest after every slice.
"""

from __future__ import annotations

from typing import NamedTuple

BYTES, COUNT = "bytes", "count"
MICROSECONDS, MILLISECONDS = "microseconds", "milliseconds"


class Quantity(NamedTuple):
    """One quantity.

    Attributes:
        unit: `BYTES` or `COUNT`.
        meaning: What it is.
        source: Where it is read.
        cost: `MICROSECONDS` or `MILLISECONDS` a reading.
        label: What a report calls it, where one shows it beside others.
    """

    unit: str
    meaning: str
    source: str
    cost: str
    label: str | None = None


_STATUS, _ROLLUP, _SMAPS = "/proc/PID/status", "/proc/PID/smaps_rollup", "/proc/PID/smaps"
_PAGE, _HEAP = "the sampler's page", "sys._debugmallocstats"

QUANTITIES = {
    "rss": Quantity(BYTES, "resident set size; of a tree its PSS", _STATUS, MICROSECONDS, "RSS"),
    "anon": Quantity(BYTES, "resident anonymous memory (RssAnon)", _STATUS, MICROSECONDS, "anonymous"),
    "file": Quantity(
        BYTES, "resident pages of mapped files (RssFile)", _STATUS, MICROSECONDS, "mapped file pages"
    ),
    "shmem": Quantity(
        BYTES, "resident shared memory and tmpfs pages (RssShmem)", _STATUS, MICROSECONDS, "shared"
    ),
    "swap": Quantity(BYTES, "anonymous memory that was swapped out (VmSwap)", _STATUS, MICROSECONDS, "swap"),
    "reserved": Quantity(BYTES, "private writable mappings, resident or not (VmData)", _STATUS, MICROSECONDS),
    "mapped": Quantity(BYTES, "all mappings (VmSize)", _STATUS, MICROSECONDS),
    "peak_rss": Quantity(BYTES, "highest RSS, of an arm since the last slice (VmHWM)", _STATUS, MICROSECONDS),
    "threads": Quantity(COUNT, "threads", _STATUS, MICROSECONDS),
    "arrow": Quantity(
        BYTES,
        "in use in Arrow's memory pools, all backends",
        "pyarrow.MemoryPool",
        MICROSECONDS,
        "in use: Arrow",
    ),
    "malloc": Quantity(
        BYTES, "in use by malloc (uordblks + hblkhd)", "mallinfo2", MICROSECONDS, "in use: malloc"
    ),
    "malloc_free": Quantity(BYTES, "held free by malloc (fordblks)", "mallinfo2", MICROSECONDS),
    "malloc_reads": Quantity(
        COUNT, "readings of malloc so far: if no more, `malloc` is the last", _PAGE, MICROSECONDS
    ),
    "blocks": Quantity(COUNT, "blocks in use by CPython's allocator", "sys.getallocatedblocks", MICROSECONDS),
    "python": Quantity(
        BYTES, "in use by CPython's small-object allocator", _HEAP, MILLISECONDS, "in use: Python objects"
    ),
    "python_free": Quantity(BYTES, "held free by CPython's small-object allocator", _HEAP, MILLISECONDS),
    "modules": Quantity(
        COUNT, "imported modules: while they become more, the program is starting", _PAGE, MICROSECONDS
    ),
    "pss": Quantity(BYTES, "resident, shared pages divided by those that map them", _ROLLUP, MILLISECONDS),
    "pss_anon": Quantity(BYTES, "the anonymous part of that", _ROLLUP, MILLISECONDS),
    "pss_file": Quantity(BYTES, "its part of mapped files", _ROLLUP, MILLISECONDS),
    "pss_shmem": Quantity(BYTES, "its part of shared memory", _ROLLUP, MILLISECONDS),
    "private_dirty": Quantity(BYTES, "written pages that no other process maps", _ROLLUP, MILLISECONDS),
    "dataset_resident": Quantity(BYTES, "resident pages of the dataset's files", _SMAPS, MILLISECONDS),
    "file_maps": Quantity(COUNT, "mappings of files", _SMAPS, MILLISECONDS),
    "copied": Quantity(
        BYTES, "private copies of pages of mapped files, swapped out or not", _SMAPS, MILLISECONDS
    ),
    "copyable": Quantity(BYTES, "size of the mappings that take such copies", _SMAPS, MILLISECONDS),
    "fds": Quantity(COUNT, "open file descriptors", "/proc/PID/fd", MICROSECONDS),
    "children": Quantity(COUNT, "living child processes", "/proc", MILLISECONDS),
    "children_anon": Quantity(BYTES, "anonymous memory of those, swapped out or not", _STATUS, MILLISECONDS),
    "children_grown": Quantity(
        BYTES, "how much more those have than as each was first seen", _STATUS, MILLISECONDS
    ),
    "dev_shm": Quantity(
        BYTES, "files in /dev/shm, and memfds of an arm: its user's since the start", "statvfs", MILLISECONDS
    ),
    "segments": Quantity(
        BYTES, "shared segments that the program has made and not unlinked", "/dev/shm", MILLISECONDS
    ),
    "segments_reserved": Quantity(
        BYTES, "what those come to once all their pages are written", "/dev/shm", MILLISECONDS
    ),
}

# What grew, in the order in which it is shown.
SHOWN = ("rss", "file", "anon", "shmem", "swap", "arrow", "malloc", "python")
