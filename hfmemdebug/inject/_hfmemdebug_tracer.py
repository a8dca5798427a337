"""What `run --trace` adds to the sampler: which lines have made what stays, and what holds it.

Allocations are traced from the time on at which the program works on its rows, and looked at ever more seldom, each
time half as long again after that time. What of a line's is more at the last look than at the one before, and
there more than earlier, stays. Each look's answer is written to a file, so that a program that is killed leaves
the last one. Until there are three looks, the start of tracing counts as one: nothing was in use there, so that
only what has grown at one pace since is told.

Nothing is collected: that would run the program's finalizers in this thread, and hide what it holds.
"""

from __future__ import annotations

import _thread
import array
import bisect
import collections
import functools
import gc
import json
import os
import sys
import time
import tracemalloc

from _hfmemdebug_bounded import origin  # type: ignore[import-not-found]
from _hfmemdebug_overhead import Overhead  # type: ignore[import-not-found]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Deep enough to get from a library's inner function to the user's call of it; each costs time.
FRAMES = 16
# Where no rows are read, tracing begins when the process is so old and imports nothing any more: imports that are
# traced take many times as long.
STARTED_SECONDS = 3.0
NO_IMPORTS_SECONDS = 1.0
# On a busy machine nothing may happen for a second: it must also have worked for so long, or waited for longer.
NO_IMPORTS_CPU_SECONDS, NO_IMPORTS_WAIT_SECONDS = 0.5, 5.0
# It imports all the time.
LATEST_CPU_SECONDS = 20.0
MANY_MODULES = 8
FIRST_LOOK_SECONDS = 1.0
# As the process ends, a look that is being taken is waited for.
END_SECONDS = 10.0
INTERVAL_SECONDS = 0.5
# Looks take at most about this share of the time.
SHARE = 0.25
# Smaller ones are not compared: modules and classes have hundreds of thousands of them.
LEAST_ITEMS = 16
LEAST_GROWTH = 8
MOST_SITES = 10
MOST_HOLDERS = 3
MOST_CANDIDATES = 5
# What warms up, or is being worked on, has come in the first part since tracing began; a leak in both at one pace.
STEADY = 0.5
# Below this a line's part of a look is not kept.
LEAST_BYTES = 4096
# A text or a buffer that grows alone does so by as much from look to look.
BUFFER_BYTES = 1 << 18
# CPython's own allocator serves what is not larger.
SMALL = 512
LEAST_BLOCKS = 1000
_CACHE = type(functools.lru_cache(maxsize=None)(len))
_SUBCLASSES = (collections.Counter, collections.defaultdict, collections.OrderedDict)
_CONTAINERS = frozenset((dict, list, set, collections.deque, _CACHE, *_SUBCLASSES))
_HERE = os.path.dirname(os.path.abspath(__file__))


class _Look:
    """What one look has found: what each place has in use, and the sizes of the larger containers."""

    def __init__(self, seconds: float, rows: int) -> None:
        self.seconds = seconds
        self.rows = rows
        # As the containers' sizes were read: on a busy machine the program goes on for a while in between.
        self.sized_at = seconds, rows
        self.places: dict[Any, tuple[float, float, bool]] = {}
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


class _Holder:
    """A container that has grown: what is written of it, and between which looks it grew by how much."""

    def __init__(self, identity: int, words: dict[str, Any], growth: int, first: _Look, last: _Look) -> None:
        self.identity = identity
        self.words = words
        self.growth = growth
        self.seconds = last.sized_at[0] - first.sized_at[0]
        self.rows = last.sized_at[1] - first.sized_at[1]

    def grows_in(self, last: _Look, before: _Look) -> bool:
        """Whether it has grown from one look to the next, or was let go of, as when the function ended."""
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
        self.sites, self.containers, self.paths, self.bounds = origin(
            "sites", "containers", "paths", "bounds"
        )
        # A fork goes on with its parent's tables.
        self.overhead = Overhead()
        self.begin()

    def begin(self) -> None:
        """Begins anew, as in a fork, which goes on to trace where its parent did."""
        # What this process starts is to be traced, and not this process.
        self.off = False
        self.looks: list[_Look] = []
        # As tracing began.
        self.first: _Look | None = None
        self.last_holders: list[_Holder] = []
        self.known: dict[int, Any] = {}
        self.limits: dict[int, Any] = {}
        self.busy = self.written = False
        self.began = time.perf_counter()
        self.traced_from: float | None = None
        self.worked = time.process_time()
        self.modules = (0, self.began, self.worked)
        self.modules_at_first = 0
        self.due = 0.0

    def look(self) -> None:
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
            _thread.start_new_thread(self._take, ())

    def end(self) -> None:
        """Takes a last look as the process ends.

        One that goes on has all objects in its hands, so that no garbage could be told from what is in use.
        """
        until = time.perf_counter() + END_SECONDS
        while self.busy and time.perf_counter() < until:
            time.sleep(0.02)
        if self.traced_from is not None and self.looks and not self.busy:
            self._take(ending=True)
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

    def _take(self, ending: bool = False) -> None:
        try:
            self._look(ending)
        except Exception:
            if os.environ.get("HFMEMDEBUG_RUN_DEBUG"):
                raise
        finally:
            self.busy = False

    def _look(self, ending: bool) -> None:
        began, spent = time.perf_counter(), time.thread_time()
        if self.looks and len(sys.modules) - self.modules_at_first >= MANY_MODULES:
            # It was still starting: what libraries make as they are imported stays, and is no leak.
            self.looks, self.traced_from = [], began
        look = _Look(began, self.rows[0])
        if not self.looks:
            self.modules_at_first = len(sys.modules)
            self.first = look
        self._fill(look)
        if ending and any(look.bytes < other.bytes for other in self.looks):
            # What its functions had is gone, and may have been so at the look before.
            return
        looks = [*self.looks, look]
        base = looks[-4] if len(looks) > 3 else looks[0]
        if base is self.first and len(looks) > 3:
            base = looks[1]
        grown = self._count(look, base)
        held: list[_Holder] = []
        if len(looks) > 2:
            held = self._held_by(grown, base, look)
            # What has just ended took its variables along, with the paths that led from them.
            held = held or [holder for holder in self.last_holders if holder.grows_in(look, looks[-2])]
            # That may have been while it was looked at; if not, the next look comes.
            if not self.written or look.bytes >= looks[-2].bytes:
                self._write(base, looks[-2], look, held)
        self.last_holders = held
        self.looks = looks[-3:]
        cost = time.thread_time() - spent
        pause = FIRST_LOOK_SECONDS if look is self.first else INTERVAL_SECONDS
        self.due = began + max((began - (self.traced_from or began)) / 2, cost / SHARE, pause)

    def _fill(self, look: _Look) -> None:
        """What each place has in use, and all of the small objects together."""
        # Equal tracebacks are one tuple: what is grouped by identity takes a tenth of what `statistics` takes.
        groups: dict[int, list[Any]] = {}
        memory = tracemalloc.get_tracemalloc_memory()
        traces = tracemalloc.take_snapshot().traces._traces  # type: ignore[attr-defined]
        for trace in traces:
            size, traceback = trace[1], trace[2]
            look.bytes += size
            if size <= SMALL:
                look.blocks += 1.0
                look.block_bytes += size
            group = groups.get(id(traceback))
            if group is None:
                # Later versions say how many frames there were.
                groups[id(traceback)] = [float(size), 1.0, traceback, trace[3] if len(trace) > 3 else 0]
            else:
                group[0] += size
                group[1] += 1.0
        self.overhead.learn(memory, len(traces), (group[2] for group in groups.values()))
        del traces
        found: dict[Any, tuple[float, float, bool]] = {}
        for size, count, traceback, frames in groups.values():
            if frames <= FRAMES and traceback[-1][0].startswith(_HERE):
                # Our own thread's.
                continue
            # The innermost comes first.
            place, in_library = self.sites.place_of([f for f in traceback if not f[0].startswith(_HERE)])
            if place is not None:
                known = found.get(place, (0, 0, False))
                found[place] = known[0] + size, known[1] + count, in_library
        look.places = {place: entry for place, entry in found.items() if entry[0] >= LEAST_BYTES}

    def _count(self, look: _Look, first: _Look) -> list[tuple[int, Any]]:
        """Fills in the sizes of containers; returns those that have grown since the last look, and before it."""
        before = (first, self.looks[-1]) if len(self.looks) > 1 else ()
        grown: list[tuple[int, Any]] = []
        sizes: list[tuple[int, int]] = []
        look.sized_at = time.perf_counter(), self.rows[0]
        at = [*(other.sized_at for other in before), look.sized_at]
        lengths = _lengths(at)
        objects, within = self.containers.of_a_running_program()
        ours = {id(look.places), *(id(other.places) for other in self.looks), id(sizes)}
        # By exact type: hundreds of thousands of objects are no containers.
        found = [thing for thing in objects if type(thing) in _CONTAINERS]
        found += self.containers.untracked(objects)
        found += [thing for thing in within if not gc.is_tracked(thing)]
        for thing in found:
            size = self.containers.size_of(thing)
            if size is None or size < LEAST_ITEMS or id(thing) in ours:
                continue
            sizes.append((id(thing), size))
            if before:
                # One that was not there at the first of the looks grows from nothing.
                known = [*(other.size_of(id(thing)) or 0 for other in before), size]
                rises = [known[i + 1] - known[i] for i in range(len(before))]
                if min(rises) < LEAST_GROWTH / len(before):
                    continue
                if first is not self.first or _is_steady(rises, lengths):
                    grown.append((size - known[0], thing))
        sizes.sort()
        look.ids.extend([identity for identity, _ in sizes])
        look.sizes.extend([size for _, size in sizes])
        # They are among the objects, as is what refers to those: only the collector would let go of them.
        for mine in (objects, within, found, sizes):
            mine.clear()
        grown.sort(key=lambda pair: -pair[0])
        return grown[:MOST_CANDIDATES]

    def _write(self, base: _Look, middle: _Look, last: _Look, held: list[_Holder]) -> None:
        parts = [self._growth(base, middle), self._growth(middle, last)]
        by_rows = last.rows > middle.rows > base.rows
        lengths = _lengths([(look.seconds, look.rows) for look in (base, middle, last)])
        if base is self.first:
            steady = {
                place
                for place in parts[0]
                if place in parts[1] and _is_steady([part[place].size for part in parts], lengths)
            }
            parts = [{place: part[place] for place in steady} for part in parts]
        ranked = self.sites.rank(parts, lengths, larger_by=BUFFER_BYTES)
        whole = sum(lengths)
        # Nothing was in use as tracing began.
        before = middle if base is self.first else base
        blocks = last.blocks - before.blocks
        holders = [
            dict(
                holder.words,
                growth=round(holder.growth * whole / (holder.rows if by_rows else holder.seconds)),
            )
            for holder in held
            if holder.rows > 0 or not by_rows
        ]
        document = {
            "pid": os.getpid(),
            "began": self.traced_from,
            "from": base.seconds,
            "to": last.seconds,
            "blocks": blocks,
            "block_bytes": (last.block_bytes - before.block_bytes) / blocks
            if blocks >= LEAST_BLOCKS
            else None,
            "traced_bytes": whole * sum(site.size for _, site in ranked),
            "sites": [
                {
                    "file": file,
                    "line": line,
                    "bytes": site.size * whole,
                    "count": site.count * whole,
                    "in_library": site.in_library,
                }
                for (file, line), site in ranked[:MOST_SITES]
            ],
            "holders": holders,
        }
        path = os.path.join(self.folder, "%d.trace" % os.getpid())
        with open(path + ".new", "w") as file:
            json.dump(document, file)
        # All of it or what was there before: the process may be killed at any time.
        os.replace(path + ".new", path)
        self.written = True

    def _growth(self, before: _Look, after: _Look) -> dict[Any, Any]:
        found = {}
        for place, (size, count, in_library) in after.places.items():
            old_size, old_count, _ = before.places.get(place, (0, 0, False))
            found[place] = self.sites.Site(size - old_size, count - old_count, in_library)
        return found

    def _bound_of(self, thing: Any, path: Any) -> dict[str, Any] | None:
        """What bounds a container, in words, and how full it is; None where nothing does, or it is full."""
        entries, words = self.containers.size_of(thing), path.words
        most: int | None
        if type(thing) is _CACHE:
            most = thing.cache_info().maxsize
        elif isinstance(thing, collections.deque) and thing.maxlen is not None:
            most = thing.maxlen
        else:
            if id(thing) not in self.limits:
                self.limits[id(thing)] = self.bounds.bound_of(thing, path)
            bound = self.limits[id(thing)]
            if bound is None:
                return None
            most, words = bound.entries(entries), words + bound.words
        return {"path": words, "entries": entries, "bound": most} if most and 0 < entries < most else None

    def _held_by(self, grown: list[tuple[int, Any]], first: _Look, last: _Look) -> list[_Holder]:
        holders: list[_Holder] = []
        for growth, thing in grown:
            # One that grew before is where it was: each path takes several looks at all objects.
            path = self.known.get(id(thing)) or self.paths.path_to(thing, skip=(grown,))
            self.known[id(thing)] = path
            if path is None or "_hfmemdebug" in path.words:
                continue
            if any(path.place == holder.words["place"] for holder in holders):
                continue
            words = {
                "path": path.words,
                "unit": self.containers.unit_of(thing),
                "name": path.name,
                "file": path.file,
                "place": path.place,
                "bound": self._bound_of(thing, path),
            }
            holders.append(_Holder(id(thing), words, growth, first, last))
            if len(holders) == MOST_HOLDERS:
                break
        return holders


def _lengths(at: list[tuple[float, int]]) -> list[float]:
    """From each time to the next, in rows where some were read in each part, else in seconds."""
    pairs = [(at[i], at[i + 1]) for i in range(len(at) - 1)]
    if all(after[1] > before[1] for before, after in pairs):
        return [float(after[1] - before[1]) for before, after in pairs]
    return [after[0] - before[0] for before, after in pairs]


def _is_steady(growth: list[Any], lengths: list[float]) -> bool:
    paces = [growth[i] / lengths[i] for i in range(len(lengths))]
    return bool(min(paces) >= STEADY * max(paces))
