"""Reads a process tree, once or over time: cheap figures in each sample, PSS on a clock that adapts to its cost.

Status costs 11 microseconds a process and is read each time. PSS walks page tables (20 to 34 ms at 1.5 GB), so that
one process at a time has its turn, as often as a share of one core allows; between two turns a process's anonymous
memory is carried forward from its status. New processes are found by the kernel's lists of children.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import psutil

from hfmemdebug.probes import devshm
from hfmemdebug.probes.maps import Memory, read_rollup
from hfmemdebug.probes.process_table import UNREADABLE, command_line, descendants, is_living
from hfmemdebug.probes.status import Status, StatusReader
from hfmemdebug.recording.sample import ProcessSample, TreeSample
from hfmemdebug.supervise.files import DataFile, read_memory
from hfmemdebug.supervise.roles import Clues, find_clues, is_fork, roles_of
from hfmemdebug.supervise.tree import ProcessReading, TreeReading, shared_memory, total

# Looking for new processes, reading PSS, and reading each file's share of it may take at most these shares of one
# core's time: together a quarter of the 2 % that `run` may cost (tests/benchmarks/bench_run.py). What counts is this
# process's own time: on a busy machine a reading waits for its turn too.
DISCOVERY_SHARE = 0.002
PSS_SHARE = 0.002
FILES_SHARE = 0.001
LEAST_BETWEEN_DISCOVERIES, MOST_BETWEEN_DISCOVERIES = 0.1, 2.0
# A process that is older is taken for what it is going to be.
SETTLED_AFTER_SECONDS = 2.0
# A process that is younger has not yet mapped what it is going to read.
FILES_AFTER_SECONDS = 1.5
DENIED = "not permitted"
# Fields of a tree's sample that are plain sums over its processes.
_SUMMED = ("swap", "threads", "fds", "arrow", "malloc", "blocks", "python")
_Inside = tuple[Memory, tuple[DataFile, ...]]


def read_tree(root: int, *, without: int | None = None, deep: bool = True) -> TreeReading:
    """Reads a process and its descendants once.

    Args:
        root: The process.
        without: A process to leave out: ourselves.
        deep: Look into each process (PSS, files); else only the figures that cost nothing.

    Returns:
        What could be read. The root is missing from it where it has ended.
    """
    watch = TreeWatch(root, without=without)
    try:
        return watch.read_all(deep=deep)
    finally:
        watch.close()


def _read_inside(pid: int) -> _Inside | OSError:
    try:
        return read_memory(pid)
    except OSError as error:
        return error


@dataclass
class _Watched:
    """A process that is being watched."""

    pid: int
    ppid: int | None
    started: float
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
        """Estimates what it has of the tree's memory by now: RSS where PSS was not read."""
        if self.memory is None or self.memory.pss is None:
            return self.status.rss
        return max(0, self.memory.pss + (self.status.anon or 0) - self.anon_then)

    @property
    def pss_anon(self) -> int | None:
        """Estimates the same of its anonymous memory; a fork's is its parent's until that was read."""
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
        inside: What a sampler in the process says: fields of a `ProcessSample` by PID, or None.
        forget: Is told of each process that has ended, once its last words were read.
        adopts: Decides if a child of this process is an orphan of the tree, as daemons make themselves: these come to
            us. None where none do.
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
        self._taken = 0
        self.rows_of_the_ended = 0

    @property
    def alive(self) -> bool:
        """Says if the root was there at the last sample."""
        return self.root in self._watched

    def take_sample(self) -> TreeSample | None:
        """Takes one reading of the tree and each living process; None where all has ended."""
        began, spent = self.clock(), self.spent()
        if began >= self._discovery_due:
            pause = max(LEAST_BETWEEN_DISCOVERIES, self._discover(began) / DISCOVERY_SHARE)
            self._discovery_due = began + min(pause, MOST_BETWEEN_DISCOVERIES)
        seconds = round(began - self._origin, 4)
        if not self._taken:
            # The sums would begin with the RSS of the root, and go on with its PSS: less, and nothing was freed.
            self._read_pss(began)
        for watched in self._watched.values():
            # What a fork copies is told from what it began with; of others PSS is read when their turn comes.
            if watched.forked and watched.memory is None and watched.why_not is None:
                self._read_sums(watched)
        self._read_statuses()
        samples = [self._sample(watched, seconds) for watched in self._watched.values()]
        self._read_pss(began)
        tree = None
        if samples:
            self._taken += 1
            tree = self._of_tree(samples, seconds)
        self.cost += self.spent() - spent
        return tree

    def close(self) -> None:
        """Closes what is open."""
        for pid in list(self._watched):
            self._forget(pid)

    def _discover(self, now: float) -> float:
        """Finds new processes; returns the seconds that finding them took, without getting to know them."""
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
            command = command_line(pid)
            # One that has ended has none any more: the next reading finds that out, and keeps its last words.
            if command and command != self._watched[pid].clues.command:
                # Between fork and exec it was its parent's copy; it is something else now.
                self._watched[pid].reader.close()
                del self._watched[pid]
                if pid in self._pss_order:
                    self._pss_order.remove(pid)
                changed |= self._begin(pid, pids.get(pid), now)
        for pid, ppid in pids.items():
            if pid not in self._watched and pid != self._without and not (pid == self.root and self._taken):
                changed |= self._begin(pid, ppid, now)
        if changed:
            roles = roles_of(watched.clues for watched in self._watched.values())
            for pid, role in roles.items():
                # A worker keeps its number when one that was started before it has ended.
                if self._watched[pid].role == "":
                    self._watched[pid].role = role
        return cost

    def _below(self) -> dict[int, int | None]:
        """Finds all that descend from the root or its orphans: each with its parent, orphans with the root."""
        if self._adopts is None:
            return {pid: ppid for pid, ppid in descendants(self.root).items() if pid != self.root}
        found = descendants(os.getpid())
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
        parent = self._watched.get(ppid) if ppid is not None else None
        try:
            if not is_living(pid):
                return False
            clues = find_clues(psutil.Process(pid), ppid, parent.clues if parent is not None else None)
            reader = StatusReader(pid)
        except UNREADABLE:
            return False
        watched = _Watched(pid, ppid, clues.started, reader, clues, role="")
        watched.files_due = now + FILES_AFTER_SECONDS
        watched.settled_at = now + SETTLED_AFTER_SECONDS
        watched.forked = parent is not None and is_fork(clues, {pid: clues, parent.pid: parent.clues})
        with contextlib.suppress(OSError):
            watched.status = reader.read()
        if watched.forked:
            watched.inherited = watched.status.anon or 0
        self._watched[pid] = watched
        self._pss_order.append(pid)
        return True

    def _read_statuses(self) -> None:
        for watched in list(self._watched.values()):
            try:
                watched.status = watched.reader.read()
            except OSError:
                self._forget(watched.pid)
                continue
            if watched.status.rss is None:
                # Ended, and not waited for yet.
                self._forget(watched.pid)

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
            # The root maps what it hands to its workers: it is asked first, then the one asked longest ago.
            due = min(self._pss_order, key=lambda pid: self._watched[pid].files_due)
            if now >= self._watched[due].files_due:
                self._take(due, _read_inside(due))
                self._watched[due].files_due = now + FILES_AFTER_SECONDS
                self._files_due = now + (self.spent() - spent) / FILES_SHARE
                return
        self._pss_order.append(self._pss_order.pop(0))
        self._read_sums(self._watched[pid])
        self._pss_due = now + (self.spent() - spent) / PSS_SHARE

    def _read_sums(self, watched: _Watched) -> None:
        try:
            watched.remember(read_rollup(watched.pid), watched.status.anon)
        except PermissionError:
            self._deny(watched.pid)
        except OSError:
            pass

    def _take(self, pid: int, inside: _Inside | OSError) -> None:
        if isinstance(inside, PermissionError):
            self._deny(pid)
        elif not isinstance(inside, OSError):
            watched = self._watched[pid]
            memory, watched.files = inside
            watched.remember(memory, watched.status.anon)
            self.files_read += 1

    def _deny(self, pid: int) -> None:
        self._watched[pid].why_not = DENIED
        if pid in self._pss_order:
            self._pss_order.remove(pid)

    def read_all(self, *, deep: bool = True) -> TreeReading:
        """Reads every process now.

        Args:
            deep: Their PSS and files too, about 20 ms for each resident GB.

        Returns:
            The tree, with notes on what could not be read.
        """
        self._discover(self.clock())
        self._read_statuses()
        if not deep:
            return self.snapshot()
        pids = list(self._watched)
        # The kernel walks each process's page tables on its own, without holding up this interpreter.
        with ThreadPoolExecutor(min(4, len(pids) or 1)) as pool:
            found = dict(zip(pids, pool.map(_read_inside, pids), strict=True))
        notes = []
        for pid, inside in found.items():
            if isinstance(inside, ProcessLookupError | FileNotFoundError):
                notes.append(f"process {pid} ({self._watched[pid].role}) ended while it was read")
                self._forget(pid)
            else:
                self._take(pid, inside)
        denied = [str(watched.pid) for watched in self._watched.values() if watched.why_not == DENIED]
        if denied:
            notes.append(
                f"process{'es' if len(denied) > 1 else ''} {', '.join(denied[:8])}"
                f"{f' and {len(denied) - 8} more' if len(denied) > 8 else ''}: PSS and files may not be read (another "
                "user's, or protected); RSS and its parts are shown, shared pages counted in each. Root sees all"
            )
        return replace(self.snapshot(), notes=tuple(notes))

    def snapshot(self) -> TreeReading:
        """Returns the tree as each process was last read."""
        readings = tuple(
            ProcessReading(w.pid, w.ppid, w.role, w.started, w.status, w.memory, w.files, w.why_not)
            for w in self._watched.values()
            if w.status.rss is not None
        )
        return TreeReading(self.root, readings, shared_memory([r.pid for r in readings]))

    def _sample(self, watched: _Watched, seconds: float) -> ProcessSample:
        memory = watched.memory or Memory()
        fields: dict[str, Any] = {
            "role": watched.role,
            "forked": watched.forked,
            # Its fields have the names of the sample's.
            **vars(watched.status),
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
        return ProcessSample(seconds, watched.pid, watched.ppid, **fields)

    def _of_tree(self, samples: list[ProcessSample], seconds: float) -> TreeSample:
        """Sums the samples. Anonymous memory leaves out what forks have inherited: it is counted in their parents."""
        anon = [max(0, (s.anon or 0) - self._watched[s.pid].inherited) for s in samples]
        pss_file = total(s.pss_file for s in samples)
        there = [self._watched[s.pid] for s in samples]
        pss = total(watched.pss for watched in there)
        in_segments, reserved_in_segments = self._segments(self._watched)
        return TreeSample(
            seconds=seconds,
            # Of all that is called resident: a sum of RSS would count shared pages in each process.
            rss=pss,
            anon=sum(anon) if samples[0].anon is not None else None,
            file=pss_file if pss_file is not None else max((s.file or 0 for s in samples), default=None),
            shmem=total(s.pss_shmem if s.pss_shmem is not None else s.shmem for s in samples),
            children=len(samples) - 1,
            pss=pss,
            pss_anon=total(watched.pss_anon for watched in there),
            **{name: total(getattr(s, name) for s in samples) for name in _SUMMED},
            rows=(total(s.rows for s in samples) or 0) + self.rows_of_the_ended,
            dev_shm=devshm.used(),
            segments=in_segments,
            segments_reserved=reserved_in_segments,
            processes=tuple(samples),
        )
