"""Reads a watched program's recording as counters over its work: what each of them did, tree and all.

A process that is forked begins with its parent's counters, and one that ends gives everything back: what is
summed is what each living process has gained since it was first seen. Workers that are made anew in each epoch
then make a sawtooth, and their parent's memory is counted once.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from hfmemdebug.analysis.counters import COMMON_BLOCK, EXACT, MB, PAGES_FLOOR, CounterTrend, block_bytes
from hfmemdebug.analysis.growth import WARMUP, WINDOWS
from hfmemdebug.analysis.reserved import within_reserved
from hfmemdebug.analysis.series import value
from hfmemdebug.analysis.snapshots import (
    LEAST_LIFE,
    ROWS,
    SECONDS,
    Baselines,
    ProcessDeltas,
    Stretch,
    TreeSnapshot,
    long_lived,
    malloc_reads,
    progress_axis,
    read_baselines,
    read_snapshots,
    unread_malloc,
)
from hfmemdebug.analysis.trend import STEADY, Trend
from hfmemdebug.recording.file import Recording
from hfmemdebug.recording.sample import ProcessSample, TreeSample

# `run` has no control: growth of less than this over the whole run is no leak.
FLOOR_OVER_RUN = 1.0 * MB
# Noise that may hide a leak of up to this share of the program's memory is still called none, and said.
TOLERATED_SHARE = 0.02
# Page counts move by this share of the memory, too.
PAGES_FLOOR_SHARE = 0.1
# Things that pile up: this many more over a run are more than any program's housekeeping.
THINGS_FLOOR = {"children": 8.0, "threads": 16.0, "fds": 32.0}
# A step in so much of the work is within three windows, and the others show that it was one.
MOST_UNREAD = 2 * (1 - WARMUP) / WINDOWS


@dataclass(frozen=True)
class Program:
    """A watched program, ready to be judged.

    Attributes:
        snapshots: The samples from the first to where the program began to end.
        iteration: ``"1000 rows"`` or ``"second"``.
        judged: The part of the run that is judged.
        counters: What could be judged.
        level: The most that the tree had of anonymous and shared memory, in bytes.
        exact: Whether a sampler inside has read the exact counters of the process that does the work.
        floor: Growth over the whole run, in bytes, below which nothing is called a leak.
        first_of: Each process as it was first seen.
        afterwards: What grew once the last rows had been read or the workers had gone, by counter.
    """

    recording: Recording
    snapshots: tuple[TreeSnapshot, ...]
    iteration: str
    judged: Stretch
    counters: dict[str, CounterTrend]
    level: float
    exact: bool
    floor: float
    first_of: dict[int, ProcessSample] = field(default_factory=dict)
    afterwards: dict[str, Trend] = field(default_factory=dict)

    @property
    def attached(self) -> bool:
        """True where it was running before it was looked at: what it was doing until then is not known."""
        return self.recording.header.command == "attach"

    @property
    def rows(self) -> int:
        """Rows that were read, over all processes."""
        return max((snapshot.tree.rows or 0 for snapshot in self.snapshots), default=0)

    @property
    def iterations(self) -> float:
        """How many iterations were judged."""
        return self.judged.work[-1] - self.judged.work[0] if len(self.judged.work) > 1 else 0.0

    def iterations_between(self, start: float, end: float) -> float:
        """How many iterations were done between two times, in seconds of the recording."""
        if self.iteration == SECONDS:
            return end - start
        read = [(snapshot.tree.seconds, snapshot.tree.rows or 0) for snapshot in self.snapshots]
        within = [rows for seconds, rows in read if start <= seconds <= end]
        return (max(within) - min(within)) / 1000 if within else 0.0

    @property
    def seconds(self) -> float:
        """How long it was watched."""
        return self.snapshots[-1].tree.seconds - self.snapshots[0].tree.seconds if self.snapshots else 0.0


@dataclass(frozen=True)
class _Floors:
    """Growth over the judged part that counts, in bytes."""

    floor: float
    tolerance: float
    pages: float


def read_program(recording: Recording) -> Program:
    """Judges each counter in a recording of `run` or `attach`.

    Args:
        recording: The recording; its header has the floor over the whole run, in bytes.
    """
    seen, ending = read_snapshots(recording.trees)
    iteration, work, during = progress_axis(recording, seen)
    weight, baselines = _bytes_of_block(recording, seen[during]), read_baselines(seen)
    judged = Stretch(seen[during], tuple(work[during]), baselines, weight)
    asked = recording.header.min_leak
    floor = over_run = FLOOR_OVER_RUN if asked is None else float(asked)
    if recording.traces is not None and judged.work and work[-1] > work[0]:
        # It is judged from the tracer's first readings on, and the floor is of the whole run.
        floor *= (judged.work[-1] - judged.work[0]) / (work[-1] - work[0])
    level = max((_owned(snapshot.tree) for snapshot in seen), default=0.0)
    floors = _Floors(
        floor, max(floor, TOLERATED_SHARE * level), max(floor, PAGES_FLOOR, PAGES_FLOOR_SHARE * level)
    )
    exact = any(p.blocks is not None for snapshot in seen for p in snapshot.processes)
    counters = {
        c.name: c for c in _judge_counters(judged, floors, _first(seen), exact=exact) if c is not None
    }
    counters.update(within_reserved(counters, judged, Stretch(seen, tuple(work), baselines, weight)))
    # What comes after the last rows should be tidying up.
    after = (seen[during.stop :] if iteration == ROWS else (), ending)
    return Program(
        recording,
        seen,
        iteration,
        judged,
        counters,
        level,
        exact,
        over_run,
        _first(seen),
        _judge_afterwards(after, baselines, weight, floors) if exact else {},
    )


def _judge_counters(
    judged: Stretch, floors: _Floors, first_of: dict[int, ProcessSample], *, exact: bool
) -> Iterator[CounterTrend | None]:
    """Decides what each counter did; None for one that was not read often enough."""
    anonymous = judged.deltas("anon_swap").total()
    if exact:
        rest = list(anonymous)
        for name in EXACT:
            deltas = judged.deltas(name)
            total = deltas.total()
            if all(value is None for value in total):
                continue
            rest = [None if a is None else a - (b or 0.0) for a, b in zip(rest, total, strict=True)]
            counter = _judge(judged, name, total, floors.floor, floors.tolerance)
            if counter is None or not counter.trend.grows:
                counter = _judge_alone(name, judged, deltas, floors, first_of) or counter
            counter = _judge_apart(counter, judged, deltas, floors, first_of)
            yield _unless_unread(counter, judged) if counter is not None and name == "malloc" else counter
        yield _judge(judged, "other", rest, floors.pages, floors.pages)
    else:
        yield _judge(judged, "pages", anonymous, floors.pages, floors.pages)
    shared = judged.deltas("shmem", _shmem_share(judged.snapshots)).total()
    yield _judge(judged, "shmem", shared, floors.floor, floors.tolerance)
    for name in ("dev_shm", "segments"):
        yield _judge(judged, name, judged.of_tree(name), floors.floor, floors.tolerance)
    for name, least in THINGS_FLOOR.items():
        yield _judge(judged, name, judged.of_tree(name), least, least)


def _judge(
    judged: Stretch, name: str, values: Sequence[float | None], floor: float, tolerance: float
) -> CounterTrend | None:
    trend = judged.trend(values, floor, tolerance, seldom=name in THINGS_FLOOR)
    return None if trend is None else CounterTrend(name, trend, gained=_gained(judged.snapshots, name))


def _judge_alone(
    name: str, judged: Stretch, deltas: ProcessDeltas, floors: _Floors, first_of: dict[int, ProcessSample]
) -> CounterTrend | None:
    """Returns a process that leaks, of those that live long: others that come and go do not hide it."""
    for pid in first_of:
        alone = deltas.of(pid)
        if sum(value is not None for value in alone) < LEAST_LIFE * len(judged.snapshots):
            continue
        trend = judged.trend(alone, floors.floor, floors.tolerance)
        if trend is not None and trend.grows:
            gained = tuple((sample, g) for sample, g in _gained(judged.snapshots, name) if sample.pid == pid)
            return CounterTrend(name, trend, gained=gained)
    return None


def _judge_apart(
    counter: CounterTrend | None,
    judged: Stretch,
    deltas: ProcessDeltas,
    floors: _Floors,
    first_of: dict[int, ProcessSample],
) -> CounterTrend | None:
    """Judges each process alone where the sum is not plain, and clears it where none of them has grown.

    What is in flight in several processes is seldom low in all at once, and each of a row of them may need more.
    None may have grown over its own life, and neither may those together that live too shortly to be judged.
    """
    if counter is None or counter.trend.shape != "inconclusive" or len(first_of) < 2:
        return counter
    share = floors.tolerance / len(first_of)
    least = min(floors.floor, share)
    alone = {pid: judged.trend(deltas.of(pid), least, share) for pid in first_of}
    rest = deltas.without({pid for pid, trend in alone.items() if trend is not None})
    found = [trend for trend in alone.values() if trend is not None]
    if any(rest.by_sample):
        others = judged.trend(rest.total(), least, share)
        if others is None:
            return counter
        found.append(others)
    if any(trend.may_grow for trend in found):
        return counter
    return replace(counter, trend=replace(counter.trend, shape="stable", needs=None))


def _judge_afterwards(
    parts: Sequence[Sequence[TreeSnapshot]], baselines: Baselines, weight: float, floors: _Floors
) -> dict[str, Trend]:
    """Returns what grew after the work. So short a time is uneven: any shape that did not stop is a question."""
    found = {}
    for part, name in itertools.product(parts, EXACT):
        after = Stretch(tuple(part), tuple(s.tree.seconds for s in part), baselines, weight)
        # A question needs less than a verdict.
        trend = after.trend(after.deltas(name).total(), floors.floor / 2, floors.tolerance)
        if trend is not None and trend.low > 0 and trend.may_grow:
            found[name] = trend
    return found


def _unless_unread(malloc: CounterTrend, judged: Stretch) -> CounterTrend:
    """Returns what it did, or that it was read too seldom: between two readings a step looks like even growth.

    Where it rose until it was read for the last time, it has not been seen to stop.
    """
    trend, reads = malloc.trend, malloc_reads(judged.snapshots)
    span = judged.work[-1] - judged.work[0]
    lived = long_lived(judged.snapshots)
    # What comes and goes is there for so few of the readings that it cannot be judged by them.
    pids = [sample.pid for sample, _ in malloc.gained if sample.pid in lived]
    if trend.shape == "stable" or not pids:
        return malloc
    gaps = unread_malloc(judged.snapshots, judged.work, pids[0])
    needs = f"it could be read only {reads} times"
    if trend.may_grow:
        gap = max(gaps, key=lambda gap: gap.work)
        outside = sum(each.rise for each in gaps) - gap.rise
        # As much came in the rest of the work as of even growth.
        even = gap.work <= MOST_UNREAD * span or (
            gap.work <= span / 2 and outside >= STEADY * (1 - gap.work / span) * (outside + gap.rise) > 0
        )
        if reads >= WINDOWS and (even or not trend.grows):
            return malloc
    else:
        gap = gaps[-1]
        if gap.work <= MOST_UNREAD * span:
            return malloc
    if reads >= WINDOWS:
        needs = f"it was not read for {gap.work / span:.0%} of the work"
    return replace(malloc, trend=replace(trend, shape="inconclusive", needs=needs))


def _first(snapshots: Sequence[TreeSnapshot]) -> dict[int, ProcessSample]:
    first: dict[int, ProcessSample] = {}
    for snapshot in snapshots:
        for process in snapshot.processes:
            first.setdefault(process.pid, process)
    return first


def _shmem_share(snapshots: Sequence[TreeSnapshot]) -> float:
    """How much of the processes' shared memory is their own: what several of them have mapped counts once."""
    # PSS is read more seldom: it goes with what was mapped when it was read.
    read: dict[int | None, tuple[int, int]] = {}
    last: dict[int | None, int] = {}
    for snapshot in snapshots:
        for p in snapshot.processes:
            if p.pss_shmem is not None and last.get(p.pid) != p.pss_shmem:
                last[p.pid] = p.pss_shmem
                read[p.pid] = p.shmem or 0, p.pss_shmem
    rss, pss = (sum(pair) for pair in zip(*read.values(), strict=True)) if read else (0, 0)
    return min(1.0, pss / rss) if rss > MB else 1.0


def _gained(snapshots: Sequence[TreeSnapshot], name: str) -> tuple[tuple[ProcessSample, float], ...]:
    """By process: from the end of the warm-up, or from when it was first seen, to when it was last seen."""
    name = {"other": "anon_swap", "pages": "anon_swap", "dev_shm": "shmem", "python": "blocks"}.get(
        name, name
    )
    if name in ("children", "fds") or not snapshots:
        return ()
    start: dict[int, ProcessSample] = {}
    last: dict[int, ProcessSample] = {}
    for snapshot in snapshots[len(snapshots) // 4 :]:
        for process in snapshot.processes:
            if value(process, name) is not None:
                start.setdefault(process.pid, process)
                last[process.pid] = process
    gains = [
        (last[pid], (value(last[pid], name) or 0.0) - (value(s, name) or 0.0)) for pid, s in start.items()
    ]
    return tuple(sorted(gains, key=lambda item: -item[1]))


def _owned(tree: TreeSample) -> float:
    return float((tree.anon or 0) + (tree.shmem or 0) + (tree.swap or 0))


def _bytes_of_block(recording: Recording, snapshots: Sequence[TreeSnapshot]) -> float:
    """Bytes of one of CPython's blocks: of those that came, where both were read at two times."""
    # Where allocations were traced, CPython's allocator does not tell it.
    traces = [t for t in recording.traces or () if t.block_bytes is not None]
    told = max(traces, key=lambda trace: trace.blocks).block_bytes if traces else None
    if told is not None:
        return told
    best, weight = 1000.0, COMMON_BLOCK
    readings: dict[int, list[tuple[float, float]]] = {}
    last: dict[int, int] = {}
    for snapshot in snapshots:
        for p in snapshot.processes:
            if p.python is None or p.blocks is None:
                continue
            # Bytes are read more seldom than blocks: only as they change are both of the same time.
            if last.get(p.pid, p.python) != p.python:
                readings.setdefault(p.pid, []).append((float(p.blocks), float(p.python)))
            last[p.pid] = p.python
    for seen in readings.values():
        blocks, held = seen[-1][0] - seen[0][0], seen[-1][1] - seen[0][1]
        if blocks > best and held > 0:
            best, weight = blocks, block_bytes(blocks, held)
    return weight
