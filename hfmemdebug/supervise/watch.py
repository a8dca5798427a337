"""A process tree over time: cheap figures at every look, PSS on a clock that adapts to what it costs."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from hfmemdebug.probes import foreign
from hfmemdebug.probes.launch import rank_of
from hfmemdebug.probes.smaps import Memory
from hfmemdebug.probes.status import Status, StatusReader
from hfmemdebug.recording.sample import Sample
from hfmemdebug.supervise.files import DataFile, data_files, memory_paths
from hfmemdebug.supervise.roles import Clues, is_fork, roles_of
from hfmemdebug.supervise.tree import DENIED, ProcessReading, TreeReading, shared_memory, total

# Looking for new processes, reading PSS, and reading each file's share of it may take at most these shares of
# one core's time. What counts is this process's own time: on a busy machine a reading waits for its turn too.
DISCOVERY_SHARE = 0.002
PSS_SHARE = 0.002
FILES_SHARE = 0.001
LEAST_BETWEEN_DISCOVERIES, MOST_BETWEEN_DISCOVERIES = 0.1, 2.0
# A process that is older is taken for what it is going to be.
SETTLED_AFTER_SECONDS = 2.0
# A process that is younger has not yet mapped what it is going to read.
FILES_AFTER_SECONDS = 1.5


@dataclass
class _Watched:
    """A process that is being watched."""

    pid: int
    ppid: int | None
    started: int
    reader: StatusReader
    clues: Clues
    forked: bool = False
    role: str = "main"
    status: Status = field(default_factory=Status)
    # Anonymous memory that a fork has inherited: its parent's, which is counted there.
    inherited: int = 0
    memory: Memory | None = None
    # Anonymous memory as `memory` was read: what has come since is its own, and PSS is read seldom where it is much.
    anon_then: int = 0
    files: tuple[DataFile, ...] | None = None
    files_due: float = 0.0
    settled_at: float = 0.0
    fds: int | None = None
    why_not: str | None = None

    def remember(self, memory: Memory, anon: int | None) -> None:
        """Keeps a reading of the PSS, and what was resident then."""
        self.memory, self.anon_then = memory, anon or 0

    @property
    def pss(self) -> int | None:
        """What it has of the tree's memory by now: RSS where PSS was not read."""
        if self.memory is None or self.memory.pss is None:
            return self.status.rss
        return max(0, self.memory.pss + (self.status.anon or 0) - self.anon_then)

    @property
    def pss_anon(self) -> int | None:
        """The same of its anonymous memory; a fork's is its parent's until that was read."""
        if self.status.anon is None:
            return None
        if self.memory is None or self.memory.pss_anon is None:
            return max(0, self.status.anon - self.inherited)
        return max(0, self.memory.pss_anon + self.status.anon - self.anon_then)


class TreeWatch:
    """Watches a process and its descendants.

    Args:
        root: The process.
        clock: Seconds, monotonic.
        spent: Seconds of this thread's own work.
        without: A process that is none of the tree: ourselves.
        inside: What a sampler in the process says: fields of a `Sample` by PID, or None.
        forget: Is told of each process that has ended, once its last words were read.
        adopts: Says of a child of this process whether it is an orphan of the tree, as daemons make themselves: these
            come to us. None where none do.
        segments: Bytes of the shared memory segments that the tree has made, and how many they may come to, each of
            which may be None; it is given the processes of the tree.
    """

    def __init__(
        self,
        root: int,
        *,
        clock: Callable[[], float] = time.perf_counter,
        spent: Callable[[], float] = time.thread_time,
        without: int | None = None,
        inside: Callable[[int], dict[str, Any] | None] = lambda pid: None,
        forget: Callable[[int], None] = lambda pid: None,
        adopts: Callable[[int], bool] | None = None,
        segments: Callable[[Iterable[int]], tuple[int | None, int | None]] = lambda pids: (None, None),
    ) -> None:
        self.root = root
        self.clock = clock
        self.spent = spent
        self.cost = 0.0
        self.files_read = 0
        self._without = without
        self._inside = inside
        self._told = forget
        self._adopts = adopts
        self._segments = segments
        self._origin = clock()
        self._watched: dict[int, _Watched] = {}
        self._discovery_due = 0.0
        self._pss_due = 0.0
        self._files_due = 0.0
        self._pss_order: list[int] = []
        self._looks = 0
        self.rows_of_the_ended = 0
        self.most_processes = 0

    @property
    def alive(self) -> bool:
        """Whether the root was there at the last look."""
        return self.root in self._watched

    def look(self) -> list[Sample]:
        """One reading: a sample for each living process, then one for the tree; empty where all has ended."""
        began, spent = self.clock(), self.spent()
        if began >= self._discovery_due:
            pause = max(LEAST_BETWEEN_DISCOVERIES, self._discover(began) / DISCOVERY_SHARE)
            self._discovery_due = began + min(pause, MOST_BETWEEN_DISCOVERIES)
        seconds = round(began - self._origin, 4)
        if not self._looks:
            # The sums would begin with the RSS of the root, and go on with its PSS: less, and nothing was freed.
            self._read_pss(began)
        samples = []
        for watched in list(self._watched.values()):
            try:
                status = watched.reader.read()
            except OSError:
                self._forget(watched.pid)
                continue
            if status.rss is None:
                # Ended, and nobody has waited for it yet.
                self._forget(watched.pid)
                continue
            watched.status = status
            samples.append(self._sample(watched, seconds))
        self._read_pss(began)
        if samples:
            self._looks += 1
            self.most_processes = max(self.most_processes, len(samples))
            samples.append(self._of_tree(samples, seconds))
        self.cost += self.spent() - spent
        return samples

    def close(self) -> None:
        """Closes what is open."""
        for pid in list(self._watched):
            self._forget(pid)

    def _discover(self, now: float) -> float:
        """Finds new processes; returns the seconds that looking for them took, without getting to know them."""
        spent = self.spent()
        pids: dict[int, int | None] = {self.root: None}
        with contextlib.suppress(OSError):
            pids.update(self._below())
        for watched in self._watched.values():
            with contextlib.suppress(OSError):
                watched.fds = len(os.listdir(f"/proc/{watched.pid}/fd"))
        cost = self.spent() - spent
        changed = False
        for pid in [w.pid for w in self._watched.values() if now < w.settled_at]:
            command = foreign.command_line(pid)
            # One that has ended has none any more: the next reading finds that out, and keeps its last words.
            if command and command != self._watched[pid].clues.command:
                # Between fork and exec it was its parent's copy; it is something else now.
                self._watched[pid].reader.close()
                del self._watched[pid]
                if pid in self._pss_order:
                    self._pss_order.remove(pid)
                changed |= self._begin(pid, pids.get(pid), now)
        for pid, ppid in pids.items():
            if pid not in self._watched and pid != self._without and not (pid == self.root and self._looks):
                changed |= self._begin(pid, ppid, now)
        if changed:
            roles = roles_of(watched.clues for watched in self._watched.values())
            for pid, role in roles.items():
                # A worker keeps its number when one that was started before it has ended.
                if self._watched[pid].role == "":
                    self._watched[pid].role = role
        return cost

    def _below(self) -> dict[int, int | None]:
        """All that descend from the root, and its orphans with theirs: each with its parent, orphans with the root."""
        if self._adopts is None:
            return {pid: ppid for pid, ppid in foreign.descendants(self.root).items() if pid != self.root}
        found = foreign.descendants(os.getpid())
        below: dict[int, int | None] = {}
        # A parent comes before its children.
        for pid, ppid in found.items():
            if pid == self.root:
                continue
            if ppid == os.getpid():
                if self._adopts(pid):
                    below[pid] = self.root
            elif ppid == self.root or ppid in below:
                below[pid] = ppid
        return below

    def _begin(self, pid: int, ppid: int | None, now: float) -> bool:
        stat = foreign.read_stat(pid)
        if stat is None or stat.state in "ZX":
            return False
        try:
            reader = StatusReader(pid)
        except OSError:
            return False
        command = foreign.command_line(pid)
        parent = self._watched.get(ppid) if ppid is not None else None
        files: tuple[str, ...] = ()
        if parent is not None and parent.clues.command == command:
            files = tuple(foreign.open_files(pid).values())
        clues = Clues(
            pid, ppid, stat.comm, command, rank_of(foreign.environment_of(pid)), files, stat.started
        )
        watched = _Watched(pid, ppid, stat.started, reader, clues, role="")
        watched.files_due = now + FILES_AFTER_SECONDS
        watched.settled_at = now + SETTLED_AFTER_SECONDS
        watched.forked = parent is not None and is_fork(clues, {pid: clues, parent.pid: parent.clues})
        with contextlib.suppress(OSError):
            watched.status = reader.read()
        if watched.forked:
            watched.inherited = watched.status.anon or 0
        if watched.forked:
            # What it copies is told from what it began with; of others it is read when their turn comes.
            with contextlib.suppress(OSError):
                watched.remember(foreign.read_rollup(pid), watched.status.anon)
        self._watched[pid] = watched
        self._pss_order.append(pid)
        return True

    def _forget(self, pid: int) -> None:
        watched = self._watched.pop(pid)
        watched.reader.close()
        if pid in self._pss_order:
            self._pss_order.remove(pid)
        inside = self._inside(pid)
        if inside is not None:
            self.rows_of_the_ended += inside.get("rows") or 0
        self._told(pid)

    def _read_pss(self, now: float) -> None:
        """Reads the PSS of the process whose turn it is, now and then file by file."""
        if now < self._pss_due or not self._pss_order:
            return
        spent = self.spent()
        pid = self._pss_order[0]
        if now >= self._files_due:
            # The root maps what it hands to its workers: it is asked first, then who was asked longest ago.
            due = min(self._pss_order, key=lambda pid: self._watched[pid].files_due)
            if now >= self._watched[due].files_due:
                self._read_files(due)
                self._watched[due].files_due = now + FILES_AFTER_SECONDS
                self._files_due = now + (self.spent() - spent) / FILES_SHARE
                return
        self._pss_order.append(self._pss_order.pop(0))
        try:
            watched = self._watched[pid]
            watched.remember(foreign.read_rollup(pid), watched.status.anon)
        except PermissionError:
            self._deny(pid)
        except OSError:
            pass
        self._pss_due = now + (self.spent() - spent) / PSS_SHARE

    def _read_files(self, pid: int) -> None:
        is_memory = memory_paths(pid)
        try:
            found = foreign.read_smaps(pid, is_memory)
        except PermissionError:
            self._deny(pid)
        except OSError:
            pass
        else:
            watched = self._watched[pid]
            watched.remember(found.total, watched.status.anon)
            watched.files = data_files(pid, found.files, is_memory)
            self.files_read += 1

    def learn(self, reading: TreeReading) -> None:
        """Takes over what somebody else has read of the processes meanwhile."""
        for process in reading.processes:
            watched = self._watched.get(process.pid)
            if watched is not None and watched.started == process.started and process.memory is not None:
                watched.remember(process.memory, process.status.anon)
                watched.files = process.files

    def _deny(self, pid: int) -> None:
        self._watched[pid].why_not = DENIED
        self._pss_order.remove(pid)

    def snapshot(self) -> TreeReading:
        """The tree as each process was last read."""
        readings = tuple(
            ProcessReading(w.pid, w.ppid, w.role, w.started, w.status, w.memory, w.files, w.why_not)
            for w in self._watched.values()
            if w.status.rss is not None
        )
        return TreeReading(self.root, readings, shared_memory([r.pid for r in readings]))

    def _sample(self, watched: _Watched, seconds: float) -> Sample:
        status, memory = watched.status, watched.memory or Memory()
        fields: dict[str, Any] = {
            "role": watched.role,
            "forked": watched.forked,
            "rss": status.rss,
            "anon": status.anon,
            "file": status.file,
            "shmem": status.shmem,
            "swap": status.swap,
            "reserved": status.reserved,
            "mapped": status.mapped,
            "peak_rss": status.peak_rss,
            "threads": status.threads,
            "fds": watched.fds,
            "pss": memory.pss,
            "pss_anon": memory.pss_anon,
            "pss_file": memory.pss_file,
            "pss_shmem": memory.pss_shmem,
            "private_dirty": memory.private_dirty,
        }
        inside = self._inside(watched.pid)
        if inside is not None:
            watched.role = inside.get("role", watched.role)
            fields.update(inside)
        return Sample(
            kind="process",
            epoch=1,
            slice=self._looks,
            seconds=seconds,
            pid=watched.pid,
            ppid=watched.ppid,
            **fields,
        )

    def _of_tree(self, samples: list[Sample], seconds: float) -> Sample:
        """The sums. Anonymous memory leaves out what forks have inherited: it is counted in their parents."""
        anon = [max(0, (s.anon or 0) - self._watched[s.pid].inherited) for s in samples if s.pid is not None]
        pss_file = total(s.pss_file for s in samples)
        there = [self._watched[s.pid] for s in samples if s.pid is not None]
        pss = total(watched.pss for watched in there)
        in_segments, reserved_in_segments = self._segments(self._watched)
        return Sample(
            kind="tree",
            epoch=1,
            slice=self._looks - 1,
            seconds=seconds,
            # Of all that is called resident: a sum of RSS would count shared pages in each process.
            rss=pss,
            anon=sum(anon) if samples[0].anon is not None else None,
            file=pss_file if pss_file is not None else max((s.file or 0 for s in samples), default=None),
            shmem=total(s.pss_shmem if s.pss_shmem is not None else s.shmem for s in samples),
            swap=total(s.swap for s in samples),
            threads=total(s.threads for s in samples),
            fds=total(s.fds for s in samples),
            children=len(samples) - 1,
            pss=pss,
            pss_anon=total(watched.pss_anon for watched in there),
            arrow=total(s.arrow for s in samples),
            malloc=total(s.malloc for s in samples),
            blocks=total(s.blocks for s in samples),
            python=total(s.python for s in samples),
            rows=(total(s.rows for s in samples) or 0) + self.rows_of_the_ended,
            dev_shm=dev_shm(),
            segments=in_segments,
            segments_reserved=reserved_in_segments,
        )


def dev_shm() -> int | None:
    """Bytes used in /dev/shm by everybody, files without a name included."""
    try:
        shm = os.statvfs("/dev/shm")
    except OSError:
        return None
    return (shm.f_blocks - shm.f_bfree) * shm.f_frsize
