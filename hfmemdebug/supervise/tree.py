"""Describes a process and its descendants at one time, honestly summed: by PSS, never by RSS.

RSS counts a page in every process that maps it: eight workers over one mapped dataset have eight times its
pages. PSS divides each page by the number of processes that map it, so that it sums. Where another user's
process may not be read, its plain figures stand in and are an upper bound.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from hfmemdebug.probes.devshm import shared_memory_of
from hfmemdebug.probes.maps import Memory
from hfmemdebug.probes.status import Status
from hfmemdebug.recording.end import FileUsage, ProcessUsage, SharedMemory
from hfmemdebug.supervise.files import DataFile


@dataclass(frozen=True)
class ProcessReading:
    """One process's memory. Bytes; None where it could not be read.

    Attributes:
        pid: Its number.
        ppid: Its parent in the tree; None for the root.
        role: ``"main"``, ``"DataLoader worker 0"``, ``"map worker 1"``, ``"rank 3"``, ``"resource tracker"``, …
        started: When it was started (`psutil.Process.create_time`): tells it from another with its number.
        status: Its resident memory by kind.
        memory: Its share of the tree's, or None where it may not be read.
        files: The data files that it has mapped; None where they were not read.
        why_not: Why `memory` is missing.
    """

    pid: int
    ppid: int | None
    role: str
    started: float
    status: Status
    memory: Memory | None = None
    files: tuple[DataFile, ...] | None = None
    why_not: str | None = None

    @property
    def reclaimable(self) -> int | None:
        """Returns what of its RSS the kernel can take back: file pages that are not locked, and freed memory."""
        if self.status.file is None:
            return None
        memory = self.memory or Memory()
        again = sum(file.again_bytes for file in self.files or () if not file.memory_backed)
        return max(0, self.status.file - again - (memory.locked or 0)) + (memory.lazy_free or 0)

    @property
    def reclaimable_share(self) -> int | None:
        """Returns the same with shared pages divided by the processes that share them, so that it sums."""
        if self.memory is None or self.memory.pss_file is None:
            return self.reclaimable
        return max(0, self.memory.pss_file - (self.memory.locked or 0)) + (self.memory.lazy_free or 0)

    @property
    def unreclaimable_share(self) -> int | None:
        """Returns anonymous memory, swap and shared memory, divided as well."""
        memory = self.memory
        if memory is None or memory.pss_anon is None:
            parts = (self.status.anon, self.status.shmem, self.status.swap)
            return None if self.status.anon is None else sum(part or 0 for part in parts)
        swap = memory.swap_pss if memory.swap_pss is not None else self.status.swap
        owned = memory.pss_anon + (memory.pss_shmem or 0) + (swap or 0) - (memory.lazy_free or 0)
        return owned + min(memory.locked or 0, memory.pss_file or 0)

    @property
    def usage(self) -> ProcessUsage:
        """Returns the entry of the closing line's, and the result's, ``processes``."""
        memory = self.memory or Memory()
        return ProcessUsage(
            pid=self.pid,
            ppid=self.ppid,
            role=self.role,
            rss_bytes=self.status.rss,
            pss_bytes=memory.pss,
            anonymous_bytes=self.status.anon,
            file_bytes=self.status.file,
            shmem_bytes=self.status.shmem,
            shared_bytes=memory.shared,
            swap_bytes=self.status.swap,
            private_dirty_bytes=memory.private_dirty,
            reclaimable_bytes=self.reclaimable,
            files=None
            if self.files is None
            else tuple(
                FileUsage(f.path, f.resident_bytes, f.size_bytes, f.kind, f.fingerprint, f.memory_backed)
                for f in self.files
            ),
        )


@dataclass(frozen=True)
class TreeReading:
    """A process and its descendants at one time.

    Attributes:
        root: The process that was asked for.
        processes: Each that could be read, the root first unless it has ended, parents before children.
        shared: Shared memory by who holds it open, the largest first.
        notes: What could not be read, a line each.
    """

    root: int
    processes: tuple[ProcessReading, ...]
    shared: tuple[SharedMemory, ...] = ()
    notes: tuple[str, ...] = field(default=())

    @property
    def pss(self) -> int | None:
        """Sums the tree's memory: PSS, with RSS where PSS could not be read."""
        return total(
            p.memory.pss if p.memory is not None and p.memory.pss is not None else p.status.rss
            for p in self.processes
        )

    @property
    def reclaimable(self) -> int | None:
        """Sums what of it the kernel can take back, in bytes."""
        return total(p.reclaimable_share for p in self.processes)

    @property
    def unreclaimable(self) -> int | None:
        """Sums what the kernel cannot take back, in bytes."""
        return total(p.unreclaimable_share for p in self.processes)

    @property
    def files(self) -> tuple[DataFile, ...]:
        """Merges the data files of all processes: resident is what the tree has, shared pages once."""
        by_path: dict[str, list[DataFile]] = {}
        for process in self.processes:
            for file in process.files or ():
                by_path.setdefault(file.path, []).append(file)
        merged = []
        for found in by_path.values():
            first = max(found, key=lambda file: file.resident_bytes)
            shares = [f.pss_bytes if f.pss_bytes is not None else f.resident_bytes for f in found]
            # The truth lies between the largest single view and the sum of the shares, which are too small where
            # processes outside of the tree map the file too.
            merged.append(replace(first, pss_bytes=max(sum(shares), first.resident_bytes)))
        return tuple(sorted(merged, key=lambda file: (-(file.pss_bytes or 0), file.path)))

    @property
    def usage(self) -> dict[str, Any]:
        """Returns the fields of the closing line that are about processes."""
        return {
            "processes": tuple(process.usage for process in self.processes),
            "shared_memory": self.shared,
            "total_pss_bytes": self.pss,
            "total_reclaimable_bytes": self.reclaimable,
            "total_unreclaimable_bytes": self.unreclaimable,
        }


def total(values: Iterable[int | None]) -> int | None:
    """Sums what is known; None where nothing is."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def shared_memory(pids: Iterable[int]) -> tuple[SharedMemory, ...]:
    """Finds the files in memory that the processes hold open, each once."""
    found: dict[tuple[int, int], tuple[str, int, set[int]]] = {}
    for pid in pids:
        for path, stat in shared_memory_of(pid):
            # st_blocks counts 512 bytes each, whatever the block size is (stat(2)).
            entry = found.setdefault((stat.st_dev, stat.st_ino), (path, stat.st_blocks * 512, set()))
            entry[2].add(pid)
    held = (SharedMemory(path, size, tuple(sorted(who))) for path, size, who in found.values() if size)
    return tuple(sorted(held, key=lambda item: -item.size_bytes))
