"""Readings of a process. Bytes throughout; what could not be read is None, never 0.

Three records, since three things are read: a process of ours, or a loop from within, after each slice and at each step
of settling; each process of a watched program; and the whole tree of those. What a field means, and what reading it
costs, stands in `quantities.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


class _Counters:
    """The part that all records share."""

    seconds: float
    anon: int | None
    shmem: int | None
    swap: int | None

    @property
    def unreclaimable(self) -> int | None:
        """Anonymous + swap + shared memory: what the kernel cannot take back without swap."""
        if self.anon is None:
            return None
        return self.anon + (self.swap or 0) + (self.shmem or 0)

    def to_dict(self) -> dict[str, Any]:
        """The fields of its line in a recording; those that are None are left out."""
        # Its own dictionary is in the order of the fields, and this runs for each process ten times a second.
        return {name: value for name, value in self.__dict__.items() if value is not None}


@dataclass(frozen=True)
class ArmSample(_Counters):
    """One reading of a process that reads slices.

    Attributes:
        kind: ``"slice"`` after a slice was read and dropped; ``"settle"`` at a step of settling.
        epoch: Epoch, from 1; 0 is before the first slice.
        slice: Slice within the epoch, from 0.
        seconds: Monotonic time since the process's first sample.
        step: For ``"settle"``: the step just done (``"before"``, ``"collect"``, ``"release_pools"``,
            ``"trim"``, ``"drop_pages"``); None for slices.
        warmup: Whether the slice is warm-up: shown, not judged.
        start_row: First row of the slice.
        rows: Rows in the slice.
    """

    kind: str
    epoch: int
    slice: int
    seconds: float
    step: str | None = None
    warmup: bool = False
    start_row: int | None = None
    rows: int | None = None
    rss: int | None = None
    anon: int | None = None
    file: int | None = None
    shmem: int | None = None
    swap: int | None = None
    reserved: int | None = None
    mapped: int | None = None
    arrow: int | None = None
    malloc: int | None = None
    blocks: int | None = None
    peak_rss: int | None = None
    # At the ends of epochs alone.
    python: int | None = None
    python_free: int | None = None
    malloc_free: int | None = None
    dataset_resident: int | None = None
    file_maps: int | None = None
    fds: int | None = None
    threads: int | None = None
    children: int | None = None
    children_anon: int | None = None
    children_grown: int | None = None
    dev_shm: int | None = None
    copied: int | None = None
    copyable: int | None = None


@dataclass(frozen=True)
class ProcessSample(_Counters):
    """One reading of a process of a watched program.

    Attributes:
        seconds: Monotonic time since the first look.
        pid: The process.
        ppid: Its parent.
        role: What it is for.
        forked: Whether it began as a copy of its parent.
        rows: Rows that it has read so far.
        ending: It has begun to end: what it frees from here on is no answer.
    """

    seconds: float
    pid: int
    ppid: int | None = None
    role: str | None = None
    forked: bool | None = None
    rss: int | None = None
    anon: int | None = None
    file: int | None = None
    shmem: int | None = None
    swap: int | None = None
    reserved: int | None = None
    mapped: int | None = None
    peak_rss: int | None = None
    threads: int | None = None
    fds: int | None = None
    pss: int | None = None
    pss_anon: int | None = None
    pss_file: int | None = None
    pss_shmem: int | None = None
    private_dirty: int | None = None
    rows: int | None = None
    arrow: int | None = None
    malloc: int | None = None
    malloc_reads: int | None = None
    blocks: int | None = None
    python: int | None = None
    modules: int | None = None
    ending: bool | None = None


@dataclass(frozen=True)
class TreeSample(_Counters):
    """One look at a watched program: the sums over its processes, and each of them.

    Attributes:
        seconds: Monotonic time since the first look.
        rows: Rows that were read so far, also by processes that have ended.
        processes: A sample for each living process.
    """

    seconds: float
    rss: int | None = None
    anon: int | None = None
    file: int | None = None
    shmem: int | None = None
    swap: int | None = None
    threads: int | None = None
    fds: int | None = None
    children: int | None = None
    pss: int | None = None
    pss_anon: int | None = None
    rows: int | None = None
    arrow: int | None = None
    malloc: int | None = None
    blocks: int | None = None
    python: int | None = None
    dev_shm: int | None = None
    segments: int | None = None
    segments_reserved: int | None = None
    processes: tuple[ProcessSample, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The fields of its line in a recording; its processes have lines of their own, before it."""
        return {
            name: value for name, value in self.__dict__.items() if value is not None and name != "processes"
        }


Sample = ArmSample | ProcessSample | TreeSample
