"""Traces a program that `run --trace` watches: which lines made what stays, and what holds it.

The tracer runs in the program, called by the sampler's thread. Allocations are traced from the time on at which the
program works on its rows, and snapshots are taken ever more seldom, each when the time since then is half as long
again. What of a line's is more at the last snapshot than at the one before, and there more than earlier, stays. Each
answer is written to a file, so that a program that is killed leaves the last one; the supervisor reads it
(`origin.trace.read_traces`). Until there are three snapshots, the start of tracing counts as one: nothing was in use
there, so that only what has grown at one pace since is told.

Unlike the pass over an arm's slices (`origin.trace`) nothing is collected here: that would run the program's
finalizers in this thread, and hide what it holds. And nothing may keep a reference to what is looked at, nor lie in a
list that only the collector would free.

CPython 3.8 and the standard library are all it has.
"""

from __future__ import annotations

import _thread
import array
import bisect
import collections
import dataclasses
import functools
import gc
import json
import os
import sys
import time
import tracemalloc
from typing import Any

from ..inject._hfmemdebug_common import PACKAGE
from ..inject._hfmemdebug_overhead import Overhead
from ..leak import Holder
from .containers import of_a_running_program, size_of, untracked
from .holders import MOST_HOLDERS, container_holder
from .paths import path_to
from .sites import STEADY, group_traces, in_use_by_place, rank

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .sites import InUse, Place

# Deep enough to get from a library's inner function to the user's call of it; each costs time.
FRAMES = 16
# Where no rows are read, tracing begins when the process is so old and imports nothing any more: imports that are
# traced take many times as long. On a busy machine nothing may happen for a second: it must also have worked for so
# long, or waited for longer. Of a program that imports all the time, after so much of the processor's.
STARTED_SECONDS = 3.0
NO_IMPORTS_SECONDS = 1.0
NO_IMPORTS_CPU_SECONDS, NO_IMPORTS_WAIT_SECONDS = 0.5, 5.0
LATEST_CPU_SECONDS = 20.0
# With so many modules more since the first snapshot it was still starting.
MANY_MODULES = 8
FIRST_SECONDS = 1.0
INTERVAL_SECONDS = 0.5
# As the process ends, a snapshot that is being taken is waited for.
END_SECONDS = 10.0
# Snapshots take at most about this share of the time.
SHARE = 0.25
# Smaller containers are not compared: modules and classes have hundreds of thousands of them.
LEAST_ITEMS = 16
LEAST_GROWTH = 8
MOST_SITES = 10
MOST_CANDIDATES = 5
# Below this a line's part of a snapshot is not kept.
LEAST_BYTES = 4096
# A text or a buffer that grows alone does so by as much from snapshot to snapshot.
BUFFER_BYTES = 1 << 18
# CPython's own allocator serves what is not larger (Objects/obmalloc.c).
SMALL = 512
LEAST_BLOCKS = 1000
_CONTAINERS = frozenset(
    (
        dict, list, set, collections.deque, functools._lru_cache_wrapper,
        collections.Counter, collections.defaultdict, collections.OrderedDict,
    )
)  # fmt: skip


class _Snapshot:
    """Memory that each place has in use at one time, and the sizes of the larger containers."""

    def __init__(self, seconds: float, rows: int) -> None:
        self.seconds = seconds
        self.rows = rows
        # As the containers' sizes were read: on a busy machine the program goes on for a while in between.
        self.sized_at = seconds, rows
        self.places: dict[Place, InUse] = {}
        # Floats come from a list of free ones; each new integer would be traced.
        self.bytes = 0.0
        # Of CPython's small objects.
        self.blocks = self.block_bytes = 0.0
        # Sorted by identity; two buffers instead of two objects for each container.
        self.ids = array.array("Q")
        self.sizes = array.array("Q")

    def size_of(self, identity: int) -> int | None:
        place = bisect.bisect_left(self.ids, identity)
        return self.sizes[place] if place < len(self.ids) and self.ids[place] == identity else None


class _Grown:
    """A container that has grown: the holder, and between which snapshots it grew by how much."""

    def __init__(self, identity: int, holder: Holder, growth: int, first: _Snapshot, last: _Snapshot) -> None:
        self.identity = identity
        self.holder = holder
        self.growth = growth
        self.seconds = last.sized_at[0] - first.sized_at[0]
        self.rows = last.sized_at[1] - first.sized_at[1]

    def grows_in(self, last: _Snapshot, before: _Snapshot) -> bool:
        """Tells whether it grew from one snapshot to the next, or was let go of, as when the function ended."""
        then, now = before.size_of(self.identity), last.size_of(self.identity)
        return then is not None and (now is None or now > then)


class Tracer:
    """Traces one process; the sampler's thread says when.

    Args:
        folder: Where to write what is found.
        rows: The one entry is the number of rows read so far.
    """

    def __init__(self, folder: str, rows: list[int]) -> None:
        self.folder = folder
        self.rows = rows
        # A fork goes on with its parent's tables.
        self.overhead = Overhead()
        self.begin()

    def begin(self) -> None:
        """Begins anew, as in a fork, which goes on to trace where its parent did."""
        # What this process starts is to be traced, and not this process.
        self.off = False
        self.snapshots: list[_Snapshot] = []
        # As tracing began.
        self.first: _Snapshot | None = None
        self.last_grown: list[_Grown] = []
        # By identity: each path takes several passes over all objects.
        self.known: dict[int, Holder] = {}
        self.busy = self.written = False
        self.began = time.perf_counter()
        self.traced_from: float | None = None
        self.worked = time.process_time()
        self.modules = (0, self.began, self.worked)
        self.modules_at_first = 0
        self.due = 0.0

    def tick(self) -> None:
        """Does what is due."""
        if self.off:
            return
        now = time.perf_counter()
        if self.traced_from is None:
            if self._has_started(now):
                if not tracemalloc.is_tracing():
                    tracemalloc.start(FRAMES)
                self.traced_from = self.due = now
        elif now >= self.due and not self.busy:
            # In a thread of its own: it may take seconds, in which the sampler goes on.
            self.busy = True
            _thread.start_new_thread(self.take, ())

    def end(self) -> None:
        """Takes a last snapshot as the process ends.

        One that goes on has all objects in its hands, so that no garbage could be told from what is in use.
        """
        until = time.perf_counter() + END_SECONDS
        while self.busy and time.perf_counter() < until:
            time.sleep(0.02)
        if self.traced_from is not None and self.snapshots and not self.busy:
            self.take(ending=True)
            tracemalloc.stop()

    def _has_started(self, now: float) -> bool:
        worked = time.process_time()
        if len(sys.modules) != self.modules[0]:
            self.modules = len(sys.modules), now, worked
        idle, work = now - self.modules[1], worked - self.modules[2]
        if self.rows[0] > 0:
            return idle >= NO_IMPORTS_SECONDS
        settled = idle >= NO_IMPORTS_SECONDS and work >= NO_IMPORTS_CPU_SECONDS
        return worked - self.worked >= LATEST_CPU_SECONDS or (
            now - self.began >= STARTED_SECONDS and (settled or idle >= NO_IMPORTS_WAIT_SECONDS)
        )

    def take(self, ending: bool = False) -> None:
        """Takes a snapshot, compares it with those before, and writes what has grown."""
        try:
            self._take(ending)
        except Exception:
            if os.environ.get("HFMEMDEBUG_RUN_DEBUG"):
                raise
        finally:
            self.busy = False

    def _take(self, ending: bool) -> None:
        began, spent = time.perf_counter(), time.thread_time()
        if self.snapshots and len(sys.modules) - self.modules_at_first >= MANY_MODULES:
            # It was still starting: what libraries make as they are imported stays, and is no leak.
            self.snapshots, self.traced_from = [], began
        now = _Snapshot(began, self.rows[0])
        if not self.snapshots:
            self.modules_at_first = len(sys.modules)
            self.first = now
        self._fill(now)
        if ending and any(now.bytes < other.bytes for other in self.snapshots):
            # What its functions had is gone, and may have been so at the snapshot before.
            return
        taken = [*self.snapshots, now]
        base = taken[-4] if len(taken) > 3 else taken[0]
        if base is self.first and len(taken) > 3:
            base = taken[1]
        candidates = self._size(now, base)
        grown: list[_Grown] = []
        if len(taken) > 2:
            grown = self._held_by(candidates, base, now)
            # What has just ended took its variables along, with the paths that led from them.
            grown = grown or [each for each in self.last_grown if each.grows_in(now, taken[-2])]
            # That may have been while it was looked at; if not, the next snapshot comes.
            if not self.written or now.bytes >= taken[-2].bytes:
                self._write(base, taken[-2], now, grown)
        self.last_grown = grown
        self.snapshots = taken[-3:]
        cost = time.thread_time() - spent
        pause = FIRST_SECONDS if now is self.first else INTERVAL_SECONDS
        self.due = began + max((began - (self.traced_from or began)) / 2, cost / SHARE, pause)

    def _fill(self, now: _Snapshot) -> None:
        """Fills in what each place has in use, and all of the small objects together."""
        memory = tracemalloc.get_tracemalloc_memory()
        traces = tracemalloc.take_snapshot().traces._traces  # type: ignore[attr-defined]
        for trace in traces:
            if trace[1] <= SMALL:
                now.blocks += 1.0
                now.block_bytes += trace[1]
        groups = group_traces(traces)
        self.overhead.learn(memory, len(traces), (group[2] for group in groups))
        del traces
        now.bytes = sum(group[0] for group in groups)
        # Our own thread's are left out, and of the program's the frames of what we have wrapped.
        theirs = [
            (size, count, [frame for frame in frames if not frame[0].startswith(PACKAGE)])
            for size, count, frames, depth in groups
            if depth > FRAMES or not frames[-1][0].startswith(PACKAGE)
        ]
        found = in_use_by_place(theirs)
        now.places = {place: each for place, each in found.items() if each.size >= LEAST_BYTES}

    def _size(self, now: _Snapshot, first: _Snapshot) -> list[tuple[int, Any]]:
        """Fills in the sizes of containers; returns those that grew since the last snapshot, and before it."""
        before = (first, self.snapshots[-1]) if len(self.snapshots) > 1 else ()
        grown: list[tuple[int, Any]] = []
        sizes: list[tuple[int, int]] = []
        now.sized_at = time.perf_counter(), self.rows[0]
        lengths = _lengths([*(other.sized_at for other in before), now.sized_at])
        objects, within = of_a_running_program()
        ours = {id(now.places), *(id(other.places) for other in self.snapshots), id(sizes)}
        # By exact type: hundreds of thousands of objects are no containers.
        found = [thing for thing in objects if type(thing) in _CONTAINERS]
        found += untracked(objects)
        found += [thing for thing in within if not gc.is_tracked(thing)]
        for thing in found:
            size = size_of(thing)
            if size is None or size < LEAST_ITEMS or id(thing) in ours:
                continue
            sizes.append((id(thing), size))
            if before:
                # One that was not there at the first of the snapshots grows from nothing.
                known = [*(other.size_of(id(thing)) or 0 for other in before), size]
                rises = [known[i + 1] - known[i] for i in range(len(before))]
                if min(rises) < LEAST_GROWTH / len(before):
                    continue
                if first is not self.first or _is_steady(rises, lengths):
                    grown.append((size - known[0], thing))
        sizes.sort()
        now.ids.extend([identity for identity, _ in sizes])
        now.sizes.extend([size for _, size in sizes])
        # They are among the objects, as is what refers to those: only the collector would let go of them.
        for mine in (objects, within, found, sizes):
            mine.clear()
        grown.sort(key=lambda pair: -pair[0])
        return grown[:MOST_CANDIDATES]

    def _held_by(self, candidates: list[tuple[int, Any]], first: _Snapshot, last: _Snapshot) -> list[_Grown]:
        found: list[_Grown] = []
        for growth, thing in candidates:
            # One that grew before is where it was.
            holder = self.known.get(id(thing)) or _holder_of(thing, candidates)
            if holder is None or any(_place(holder) == _place(other.holder) for other in found):
                continue
            self.known[id(thing)] = holder
            holder = dataclasses.replace(holder, entries=size_of(thing))
            found.append(_Grown(id(thing), holder, growth, first, last))
            if len(found) == MOST_HOLDERS:
                break
        return found

    def _write(self, base: _Snapshot, middle: _Snapshot, last: _Snapshot, grown: list[_Grown]) -> None:
        parts = [_growth(base, middle), _growth(middle, last)]
        by_rows = last.rows > middle.rows > base.rows
        lengths = _lengths([(each.seconds, each.rows) for each in (base, middle, last)])
        if base is self.first:
            steady = {
                place
                for place in parts[0]
                if place in parts[1] and _is_steady([part[place].size for part in parts], lengths)
            }
            parts = [{place: part[place] for place in steady} for part in parts]
        ranked = rank(parts, lengths, larger_by=BUFFER_BYTES)
        whole = sum(lengths)
        # Nothing was in use as tracing began.
        before = middle if base is self.first else base
        blocks = last.blocks - before.blocks
        block_bytes = last.block_bytes - before.block_bytes
        document = {
            "pid": os.getpid(),
            "began": self.traced_from,
            "from": base.seconds,
            "to": last.seconds,
            "blocks": blocks,
            "block_bytes": block_bytes / blocks if blocks >= LEAST_BLOCKS else None,
            "traced_bytes": whole * sum(each.size for _, each in ranked),
            "sites": [
                [place, each.size * whole, each.count * whole, each.in_library]
                for place, each in ranked[:MOST_SITES]
            ],
            "holders": [
                dataclasses.replace(
                    each.holder,
                    growth_per_iteration=round(
                        each.growth * whole / (each.rows if by_rows else each.seconds)
                    ),
                ).to_dict()
                for each in grown
                if each.rows > 0 or not by_rows
            ],
        }
        path = os.path.join(self.folder, f"{os.getpid()}.trace")  # noqa: PTH118
        with open(path + ".new", "w") as file:  # noqa: PTH123
            json.dump(document, file)
        # All of it or what was there before: the process may be killed at any time.
        os.replace(path + ".new", path)  # noqa: PTH105
        self.written = True


def _holder_of(thing: Any, ours: list[Any]) -> Holder | None:
    """Makes a container's holder; None where no path leads to it, or one of ours."""
    at = path_to(thing, skip=(ours,))
    return None if at is None or (at.file or "").startswith(PACKAGE) else container_holder(thing, at, 0)


def _place(holder: Holder) -> Any:
    return holder.at.place if holder.at is not None else None


def _growth(before: _Snapshot, after: _Snapshot) -> dict[Place, InUse]:
    return {place: now.since(before.places.get(place)) for place, now in after.places.items()}


def _lengths(at: list[tuple[float, int]]) -> list[float]:
    """From each time to the next, in rows where some were read in each part, else in seconds."""
    pairs = [(at[i], at[i + 1]) for i in range(len(at) - 1)]
    if all(after[1] > before[1] for before, after in pairs):
        return [float(after[1] - before[1]) for before, after in pairs]
    return [after[0] - before[0] for before, after in pairs]


def _is_steady(growth: list[Any], lengths: list[float]) -> bool:
    """Tells whether it grew at one pace: what warms up, or is being worked on, came in the first part."""
    paces = [growth[i] / lengths[i] for i in range(len(lengths))]
    return bool(min(paces) >= STEADY * max(paces))
