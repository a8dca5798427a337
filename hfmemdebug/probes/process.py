"""Reads what one process can say of itself, for the recordings of its own loop.

The readings of a slice cost microseconds and allocate nothing that lasts: status through a descriptor that stays open,
counters of the allocators, malloc on a clock that adapts to its cost. Those at the ends of epochs (mappings, children,
files in memory) take tens of milliseconds.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hfmemdebug.errors import AccessError
from hfmemdebug.probes.allocators import ArrowProbe, MallocProbe
from hfmemdebug.probes.cpython import allocated_blocks, clear_type_cache, python_heap
from hfmemdebug.probes.devshm import NewFiles
from hfmemdebug.probes.maps import copies_by_path, mappings_of, read_mappings
from hfmemdebug.probes.process_table import GrowthSinceSeen, anon_of_descendants
from hfmemdebug.probes.status import Status, StatusReader

# Of the time between two readings, malloc's may take at most this share. mallinfo2 walks the free chunks: 5.6 ms at
# 100,000 of them, 344 ms at 4 million.
MALLOC_SHARE = 0.005
# A reading of malloc that takes longer, in seconds, is put off; a fresh heap's takes 10 microseconds.
CHEAP_SECONDS = 0.0002


class ProcessProbe:
    """Reads the process it runs in.

    It keeps nothing that it has read: a recorder that holds its samples adds three or four blocks a
    slice of its own, which hides a leak of one object.

    Args:
        clock: Seconds, monotonic.

    Raises:
        AccessError: This system has no /proc.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        try:
            self._status = StatusReader()
        except OSError:
            raise AccessError("hfmemdebug reads Linux's /proc, which this system does not have") from None
        self._new_in_dev_shm = NewFiles()
        self._growth_of_children = GrowthSinceSeen()
        self.malloc = MallocProbe()
        self.arrow: ArrowProbe | None = None
        self.clock = clock
        self._origin: float = clock()
        self._malloc_due = 0.0

    @property
    def missing(self) -> tuple[str, ...]:
        """Names what cannot be read here, in words for a warning."""
        split = "the split of RSS into anonymous, file and shared memory (the kernel is older than Linux 4.5)"
        found = (split if self.status().anon is None else None, self.malloc.why_not)
        return tuple(line for line in found if line is not None)

    def status(self) -> Status:
        """Reads resident memory by kind, in bytes."""
        return self._status.read()

    def reset_peak(self) -> None:
        """Sets the peak (VmHWM) to the present RSS, by writing 5 to ``clear_refs`` (proc(5))."""
        try:
            Path("/proc/self/clear_refs").write_text("5")
        except OSError:
            # Read-only /proc: the peak is then that of the whole life, which is still an upper bound.
            return

    def watch_arrow(self) -> None:
        """Reads Arrow's pools from now on. Imports pyarrow."""
        self.arrow = ArrowProbe()

    def reader_of(self, name: str) -> Callable[[], int | None]:
        """Returns a function that reads one field of the samples alone; ``"other"`` is ``anon``."""

        def malloc_in_use() -> int | None:
            # With a full cache a block counts when it is asked for; else seven come and go at a time.
            self.malloc.fill_thread_cache()
            return self._malloc_in_use()

        if name == "malloc":
            return malloc_in_use
        if name == "arrow" and self.arrow is not None:
            return self.arrow.in_use
        if name == "dev_shm":
            return lambda: self._new_in_dev_shm.size(written=False)
        if name == "fds":
            return lambda: len(os.listdir("/proc/self/fd"))
        if name in ("shmem", "threads", "other"):
            field = {"other": "anon"}.get(name, name)
            return lambda: getattr(self.status(), field)
        return lambda: self._details(frozenset()).get(name)

    def trim(self) -> None:
        """Has the interpreter and malloc give up what they merely keep at hand, as at the end of each epoch."""
        clear_type_cache()
        self.malloc.trim()

    def _malloc_in_use(self) -> int | None:
        """Reads malloc without what Arrow has from it, whose own counter has that: a byte has one owner."""
        reading = self.malloc.read()
        if reading is None:
            return None
        return reading.in_use - (self.arrow.in_malloc() if self.arrow is not None else 0)

    def read(self) -> dict[str, Any]:
        """Takes the cheap readings: `ArmSample` fields from ``seconds`` to ``peak_rss``."""
        # Exact counters first, before this function allocates anything of its own.
        blocks = allocated_blocks()
        began = self.clock()
        malloc = None
        if began >= self._malloc_due:
            malloc = self._malloc_in_use()
            cost = self.clock() - began
            self._malloc_due = began + cost / MALLOC_SHARE if cost > CHEAP_SECONDS else 0.0
        status = self.status()
        return {
            "seconds": round(began - self._origin, 6),
            "rss": status.rss,
            "anon": status.anon,
            "file": status.file,
            "shmem": status.shmem,
            "swap": status.swap,
            "reserved": status.reserved,
            "mapped": status.mapped,
            "arrow": self.arrow.in_use() if self.arrow is not None else None,
            "malloc": malloc,
            "blocks": blocks,
            "peak_rss": status.peak_rss,
        }

    def read_settled(self, files: frozenset[str] = frozenset()) -> dict[str, Any]:
        """Takes the cheap and the slower readings, for the ends of epochs.

        Args:
            files: Paths of the dataset's files, whose resident bytes are added up.
        """
        self._malloc_due = 0.0
        values = self.read()
        reading = self.malloc.read()
        values["malloc_free"] = reading.free if reading is not None else None
        heap = python_heap()
        values["python"], values["python_free"] = heap if heap is not None else (None, None)
        values.update(self._details(files))
        return values

    def _details(self, files: frozenset[str]) -> dict[str, int | None]:
        mappings = read_mappings()
        children = anon_of_descendants()
        copies = copies_by_path(mappings).values()
        resident = (mapping.memory.rss or 0 for mapping in mappings_of(mappings, files))
        return {
            "dataset_resident": sum(resident) if files else None,
            "file_maps": sum(mapping.is_file for mapping in mappings),
            "fds": len(os.listdir("/proc/self/fd")),
            "threads": self.status().threads,
            "children": len(children),
            "children_anon": sum(children.values()),
            "children_grown": self._growth_of_children.of(children),
            "dev_shm": self._new_in_dev_shm.size(),
            "copied": sum(file.copied for file in copies),
            "copyable": sum(file.size for file in copies),
        }
