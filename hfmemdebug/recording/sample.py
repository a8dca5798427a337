"""Readings of a process. Bytes throughout; what could not be read is None, never 0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Sample:
    """One reading of the measured process.

    Attributes:
        kind: ``"slice"`` after a slice was read and dropped; ``"settle"`` at a step of settling. Of a program
            that is watched from outside: ``"process"`` for one of its processes, ``"tree"`` for all of them.
        step: For ``"settle"``: the step just done (``"before"``, ``"collect"``, ``"release_pools"``,
            ``"trim"``, ``"drop_pages"``); None for slices.
        epoch: Epoch, from 1; 0 is before the first slice.
        slice: Slice within the epoch, from 0.
        warmup: Whether the slice is warm-up: shown, not judged.
        start_row: First row of the slice.
        rows: Rows in the slice; of a program that is watched: rows read so far.
        seconds: Monotonic time since the process's first sample.
        rss: Resident set size.
        anon: RssAnon, the resident anonymous memory.
        file: RssFile, the resident pages of mapped files.
        shmem: RssShmem, resident shared memory and tmpfs pages.
        swap: VmSwap.
        reserved: VmData, the size of private mappings that can be written, resident or not.
        mapped: VmSize, the size of all mappings.
        arrow: Bytes in use in Arrow's memory pools, all backends that were used.
        malloc: Bytes in use by malloc (mallinfo2 uordblks + hblkhd).
        blocks: Blocks in use by CPython's allocator (a count).
        python: Bytes in use by CPython's small-object allocator; at epoch ends only.
        python_free: Bytes that it has besides, free; at epoch ends only.
        malloc_free: Bytes malloc holds free (fordblks); at epoch ends only.
        peak_rss: VmHWM since the last slice.
        dataset_resident: Resident bytes of the dataset's files; at epoch ends only.
        file_maps: Number of file mappings; at epoch ends only.
        fds: Open file descriptors; at epoch ends only.
        threads: Threads; at epoch ends only.
        children: Living child processes; at epoch ends only.
        children_anon: Anonymous memory of those, swapped out or not; at epoch ends only.
        children_grown: How much more those have than as each was first seen; at epoch ends only.
        dev_shm: Bytes of the files that this user put into /dev/shm since the start, and of this process's memfds;
            at epoch ends only.
        pid: The process; of a program that is watched, as are all that follow.
        ppid: Its parent.
        role: What it is for.
        forked: Whether it began as a copy of its parent.
        pss: Proportional set size: shared pages divided by those who share them.
        pss_anon: Its anonymous part.
        pss_file: Its part of mapped files.
        pss_shmem: Its part of shared memory.
        private_dirty: Written pages that nobody else maps.
        malloc_reads: How often its malloc was read so far: where that is no more than at the look before, its bytes
            are those of then.
        ending: The process has begun to end: what it frees from here on is no answer.
        full_collections: How often CPython's collector has looked at everything.
        modules: Python modules that are imported: as long as they become more, the program is starting.
        segments: Bytes of the shared memory segments that the program has made and not unlinked.
        segments_reserved: Bytes that they may come to, once all their pages are written.
        copied: Private copies of pages of mapped files, swapped out or not; at epoch ends only.
        copyable: Size of the mappings that take such copies; at epoch ends only.
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
    arrow: int | None = None
    malloc: int | None = None
    blocks: int | None = None
    python: int | None = None
    python_free: int | None = None
    malloc_free: int | None = None
    peak_rss: int | None = None
    dataset_resident: int | None = None
    file_maps: int | None = None
    fds: int | None = None
    threads: int | None = None
    children: int | None = None
    children_anon: int | None = None
    children_grown: int | None = None
    dev_shm: int | None = None
    pid: int | None = None
    ppid: int | None = None
    role: str | None = None
    forked: bool | None = None
    pss: int | None = None
    pss_anon: int | None = None
    pss_file: int | None = None
    pss_shmem: int | None = None
    private_dirty: int | None = None
    ending: bool | None = None
    full_collections: int | None = None
    modules: int | None = None
    malloc_reads: int | None = None
    segments: int | None = None
    segments_reserved: int | None = None
    copied: int | None = None
    copyable: int | None = None
    reserved: int | None = None
    mapped: int | None = None

    @property
    def unreclaimable(self) -> int | None:
        """Anonymous + swap + shared memory: what the kernel cannot take back without swap."""
        if self.anon is None:
            return None
        return self.anon + (self.swap or 0) + (self.shmem or 0)

    def to_dict(self) -> dict[str, Any]:
        """The sample as a line of the recording; fields that are None are left out."""
        # Its own dictionary is in the order of the fields, and this runs for each process ten times a second.
        return {name: value for name, value in self.__dict__.items() if value is not None}
