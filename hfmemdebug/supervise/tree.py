"""One reading of a process and its descendants, honestly summed: by PSS, never by RSS.

RSS counts a page in every process that maps it: eight workers over one mapped dataset have eight times its
pages. PSS divides each page by the number of processes that map it, so that it sums. Where another user's
process may not be looked into, its plain figures stand in and are an upper bound.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hfmemdebug.probes import foreign
from hfmemdebug.probes.launch import rank_of
from hfmemdebug.probes.smaps import Memory, ProcessMemory
from hfmemdebug.probes.status import Status, parse_status
from hfmemdebug.supervise.files import DataFile, data_files, memory_paths
from hfmemdebug.supervise.roles import Clues, roles_of


@dataclass(frozen=True)
class ProcessReading:
    """What one process has. Bytes; None where it could not be read.

    Attributes:
        pid: Its number.
        ppid: Its parent in the tree; None for the root.
        role: ``"main"``, ``"DataLoader worker 0"``, ``"map worker 1"``, ``"rank 3"``, ``"resource tracker"``, …
        started: When it was started, in clock ticks: tells it from another that was given its number.
        status: Its resident memory by kind.
        memory: Its share of the tree's, or None where it may not be looked into.
        files: The data files that it has mapped; None where they were not looked at.
        why_not: Why `memory` is missing.
    """

    pid: int
    ppid: int | None
    role: str
    started: int
    status: Status
    memory: Memory | None = None
    files: tuple[DataFile, ...] | None = None
    why_not: str | None = None

    @property
    def reclaimable(self) -> int | None:
        """What of its RSS the kernel can take back: file pages that are not locked, and freed memory."""
        if self.status.file is None:
            return None
        memory = self.memory or Memory()
        again = sum(file.again_bytes for file in self.files or () if not file.memory_backed)
        return max(0, self.status.file - again - (memory.locked or 0)) + (memory.lazy_free or 0)

    @property
    def reclaimable_share(self) -> int | None:
        """The same with shared pages divided by those who share them, so that it sums."""
        if self.memory is None or self.memory.pss_file is None:
            return self.reclaimable
        return max(0, self.memory.pss_file - (self.memory.locked or 0)) + (self.memory.lazy_free or 0)

    @property
    def unreclaimable_share(self) -> int | None:
        """Anonymous memory, swap and shared memory, divided as well."""
        memory = self.memory
        if memory is None or memory.pss_anon is None:
            parts = (self.status.anon, self.status.shmem, self.status.swap)
            return None if self.status.anon is None else sum(part or 0 for part in parts)
        swap = memory.swap_pss if memory.swap_pss is not None else self.status.swap
        owned = memory.pss_anon + (memory.pss_shmem or 0) + (swap or 0) - (memory.lazy_free or 0)
        return owned + min(memory.locked or 0, memory.pss_file or 0)

    def to_dict(self) -> dict[str, Any]:
        """The entry of the result's ``processes``."""
        memory = self.memory or Memory()
        return {
            "pid": self.pid,
            "ppid": self.ppid,
            "role": self.role,
            "rss_bytes": self.status.rss,
            "pss_bytes": memory.pss,
            "anonymous_bytes": self.status.anon,
            "file_bytes": self.status.file,
            "shmem_bytes": self.status.shmem,
            "shared_bytes": memory.shared,
            "swap_bytes": self.status.swap,
            "private_dirty_bytes": memory.private_dirty,
            "reclaimable_bytes": self.reclaimable,
            "files": [
                {
                    "path": file.path,
                    "resident_bytes": file.resident_bytes,
                    "size_bytes": file.size_bytes,
                    "kind": file.kind,
                    "fingerprint": file.fingerprint,
                    "memory_backed": file.memory_backed,
                }
                for file in self.files
            ]
            if self.files is not None
            else None,
        }


@dataclass(frozen=True)
class SharedMemory:
    """A file in memory (POSIX shared memory, memfd) that processes of the tree have open or mapped.

    Attributes:
        path: As the kernel prints it; without a name any more it ends in ``(deleted)``.
        size_bytes: Pages that it holds, whoever has them mapped.
        holders: The processes that hold it open.
    """

    path: str
    size_bytes: int
    holders: tuple[int, ...]


@dataclass(frozen=True)
class TreeReading:
    """A process and its descendants at one time.

    Attributes:
        root: The process that was asked for.
        processes: Each that could be read, the root first, parents before children.
        shared: Shared memory by who holds it open, the largest first.
        notes: What could not be read, a line each.
    """

    root: int
    processes: tuple[ProcessReading, ...]
    shared: tuple[SharedMemory, ...] = ()
    notes: tuple[str, ...] = field(default=())

    @property
    def pss(self) -> int | None:
        """The tree's memory: PSS summed, with RSS where PSS could not be read."""
        return total(
            p.memory.pss if p.memory is not None and p.memory.pss is not None else p.status.rss
            for p in self.processes
        )

    @property
    def reclaimable(self) -> int | None:
        """What of it the kernel can take back, in bytes."""
        return total(p.reclaimable_share for p in self.processes)

    @property
    def unreclaimable(self) -> int | None:
        """What it cannot."""
        return total(p.unreclaimable_share for p in self.processes)

    @property
    def files(self) -> tuple[DataFile, ...]:
        """Data files over all processes: resident is what the tree has, shared pages once."""
        by_path: dict[str, list[DataFile]] = {}
        for process in self.processes:
            for file in process.files or ():
                by_path.setdefault(file.path, []).append(file)
        merged = []
        for found in by_path.values():
            first = max(found, key=lambda file: file.resident_bytes)
            shares = [f.pss_bytes if f.pss_bytes is not None else f.resident_bytes for f in found]
            # Between the largest single view and the sum of the shares lies the truth, and where others
            # than the tree map the file too, the shares are too small.
            merged.append(DataFile(**{**first.__dict__, "pss_bytes": max(sum(shares), first.resident_bytes)}))
        return tuple(sorted(merged, key=lambda file: (-(file.pss_bytes or 0), file.path)))

    def to_dict(self) -> dict[str, Any]:
        """The fields of the result that are about processes."""
        return {
            "processes": tuple(process.to_dict() for process in self.processes),
            "shared_memory": tuple(
                {"path": item.path, "size_bytes": item.size_bytes, "holders": list(item.holders)}
                for item in self.shared
            ),
            "total_pss_bytes": self.pss,
            "total_reclaimable_bytes": self.reclaimable,
            "total_unreclaimable_bytes": self.unreclaimable,
        }


def total(values: Iterable[int | None]) -> int | None:
    """The sum of what is known; None where nothing is."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def read_tree(root: int, *, without: Sequence[int] = (), deep: bool = True) -> TreeReading:
    """Reads a process and its descendants.

    Args:
        root: The process.
        without: Processes to leave out: ourselves.
        deep: Look into each process (PSS, files), about 20 ms for each resident GB; else only the figures
            that cost nothing.

    Returns:
        What could be read. The root is missing from it where it has ended.
    """
    parents: dict[int, int | None] = {root: None}
    parents.update(foreign.descendants(root))
    notes: list[str] = []
    looked: list[tuple[foreign.Stat, Status]] = []
    for pid in parents:
        stat = foreign.read_stat(pid)
        if stat is None or pid in without or (stat.state in "ZX" and pid != root):
            # Ended meanwhile, or ended and not waited for: neither has memory.
            continue
        try:
            looked.append((stat, parse_status(Path(f"/proc/{pid}/status").read_bytes())))
        except OSError:
            continue
    roles = _roles(looked, parents)
    insides = _look_into([stat.pid for stat, _ in looked]) if deep else {}
    readings = []
    for stat, status in looked:
        inside = insides.get(stat.pid)
        memory, files, why_not = inside if inside is not None else (None, None, None)
        if why_not == _GONE:
            notes.append(f"process {stat.pid} ({roles[stat.pid]}) ended while it was read")
            continue
        readings.append(
            ProcessReading(
                stat.pid, parents[stat.pid], roles[stat.pid], stat.started, status, memory, files, why_not
            )
        )
    denied = [str(reading.pid) for reading in readings if reading.why_not == DENIED]
    if denied:
        notes.append(
            f"process{'es' if len(denied) > 1 else ''} {', '.join(denied[:8])}"
            f"{f' and {len(denied) - 8} more' if len(denied) > 8 else ''}: PSS and files may not be read "
            "(another user's, or protected); RSS and its parts are shown, shared pages counted in each. Root sees all"
        )
    return TreeReading(
        root, tuple(readings), shared_memory([r.pid for r in readings]) if deep else (), tuple(notes)
    )


_GONE = "it ended"
DENIED = "not permitted"
_Inside = tuple[Memory | None, tuple[DataFile, ...] | None, str | None]


def _look_into(pids: Sequence[int]) -> dict[int, _Inside]:
    if len(pids) < 2:
        return {pid: _inside(pid) for pid in pids}
    # The kernel walks each process's page tables on its own, without holding up this interpreter.
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(4) as pool:
        return dict(zip(pids, pool.map(_inside, pids), strict=True))


def _inside(pid: int) -> _Inside:
    is_memory = memory_paths(pid)
    try:
        found: ProcessMemory = foreign.read_smaps(pid, is_memory)
    except PermissionError:
        return None, None, DENIED
    except OSError:
        return None, None, _GONE
    return found.total, data_files(pid, found.files, is_memory), None


def _roles(looked: Sequence[tuple[foreign.Stat, Status]], parents: dict[int, int | None]) -> dict[int, str]:
    commands = {stat.pid: foreign.command_line(stat.pid) for stat, _ in looked}
    clues = []
    for stat, _ in looked:
        parent = parents[stat.pid]
        copy = parent is not None and commands.get(parent) == commands[stat.pid]
        clues.append(
            Clues(
                pid=stat.pid,
                ppid=parent,
                comm=stat.comm,
                command=commands[stat.pid],
                rank=rank_of(foreign.environment_of(stat.pid)),
                files=tuple(foreign.open_files(stat.pid).values()) if copy else (),
                started=stat.started,
            )
        )
    return roles_of(clues)


def shared_memory(pids: Sequence[int]) -> tuple[SharedMemory, ...]:
    """Files in memory that the processes hold open, also those whose name is gone and that none has mapped.

    Tensors travel between workers as such descriptors: nothing of them is listed in /dev/shm.
    """
    found: dict[tuple[int, int], tuple[str, int, set[int]]] = {}
    for pid in pids:
        for number, path in foreign.open_files(pid).items():
            if not path.startswith(("/dev/shm/", "/memfd:")):
                continue
            try:
                status = os.stat(f"/proc/{pid}/fd/{number}")
            except OSError:
                continue
            # st_blocks counts 512 bytes each, whatever the block size is (stat(2)).
            entry = found.setdefault((status.st_dev, status.st_ino), (path, status.st_blocks * 512, set()))
            entry[2].add(pid)
    held = (SharedMemory(path, size, tuple(sorted(who))) for path, size, who in found.values() if size)
    return tuple(sorted(held, key=lambda item: -item.size_bytes))
