"""A watched program's recording as counters over its work: what each owner of memory did, tree and all.

A process that is forked begins with its parent's counters, and one that ends gives everything back: what is
summed is what each living process has gained since it was first seen. Workers that are made anew in each epoch
then make a sawtooth, and their parent's memory is counted once.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from hfmemdebug.analysis.counters import EXACT, FLOOR_OVER_RUN, MB, THINGS, CounterTrend, points
from hfmemdebug.analysis.growth import WARMUP, WINDOWS, find_growth
from hfmemdebug.analysis.progress import LEAST_LIFE, ROWS, SECONDS, long_lived, progress_axis
from hfmemdebug.analysis.reserved import SETTLED, within_reserved
from hfmemdebug.analysis.series import value
from hfmemdebug.analysis.snapshots import (
    ProcessDeltas,
    TreeSnapshot,
    malloc_reads,
    read_baselines,
    read_deltas,
    read_owned_deltas,
    read_snapshots,
    unread_malloc,
)
from hfmemdebug.analysis.trend import STEADY, Trend
from hfmemdebug.recording.file import Recording
from hfmemdebug.recording.sample import ProcessSample, TreeSample

# Noise that may hide a leak of up to this share of the program's memory is still called none, and said.
TOLERATED_SHARE = 0.02
# Page counts move by arenas and size classes: below this they say nothing without an exact counter.
PAGES_FLOOR = 16.0 * MB
PAGES_FLOOR_SHARE = 0.1
# One object of CPython's, where nothing better is known.
BLOCK_BYTES = 64.0
# A step in so much of the work is within three windows, and the others show that it was one.
MOST_UNREAD = 2 * (1 - WARMUP) / WINDOWS
# Where more was not read, the rest must have this share of the growth that even growth has there.
EVEN_OUTSIDE = STEADY


@dataclass(frozen=True)
class Program:
    """A watched program, ready to be judged.

    Attributes:
        snapshots: The samples from the first to where the program began to end.
        iteration: ``"1000 rows"`` or ``"second"``.
        iterations: Of those, over the judged samples.
        judged_seconds: The time between the first and the last of the judged samples.
        owners: What could be judged.
        level: The most that the tree had of anonymous and shared memory, in bytes.
        exact: Whether a sampler inside has read the exact counters of the process that does the work.
        floor: Growth over the whole run, in bytes, below which nothing is called a leak.
        first_of: Each process as it was first seen.
        baselines: By process and counter: what a fork has inherited; 0 for those that began by themselves.
        gains: Bytes that the tree has gained from first to last, by counter.
        afterwards: What grew once the last rows had been read or the workers had gone, by counter.
    """

    recording: Recording
    snapshots: tuple[TreeSnapshot, ...]
    iteration: str
    iterations: float
    judged_seconds: float
    owners: dict[str, CounterTrend]
    level: float
    exact: bool
    floor: float
    first_of: dict[int, ProcessSample] = field(default_factory=dict)
    baselines: dict[int, dict[str, float]] = field(default_factory=dict)
    gains: dict[str, int | None] = field(default_factory=dict)
    afterwards: dict[str, Trend] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Rows that were read, over all processes."""
        return max((snapshot.tree.rows or 0 for snapshot in self.snapshots), default=0)

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


def read_program(recording: Recording, *, min_leak: float | None = None) -> Program:
    """Judges each owner of memory in a recording of `run` or `attach`.

    Args:
        recording: The recording.
        min_leak: Growth over the whole run, in bytes, below which nothing is called a leak.
    """
    seen, ending = read_snapshots(recording.trees)
    iteration, work, during = progress_axis(recording, seen)
    # What came before are imports and preparations, and what comes after them should be tidying up.
    after = (seen[during.stop :] if iteration == ROWS else (), ending)
    done = work[-1] - work[0] if work else 0.0
    snapshots, work = seen[during], work[during]
    floor = over_run = FLOOR_OVER_RUN if min_leak is None else float(min_leak)
    if recording.traces is not None and done and work:
        # It is judged from the tracer's first readings on, and the floor is of the whole run.
        floor *= (work[-1] - work[0]) / done
    level = max((_owned(snapshot.tree) for snapshot in seen), default=0.0)
    exact = any(p.blocks is not None for snapshot in seen for p in snapshot.processes)
    first_of, baselines = _first(seen), read_baselines(seen)
    tolerance = max(floor, TOLERATED_SHARE * level)
    owners: dict[str, CounterTrend] = {}

    def judge(name: str, values: Sequence[float | None], floor: float, tolerance: float) -> None:
        growth = find_growth(points(work, values), floor, tolerance=tolerance, seldom=name in THINGS)
        if growth is not None:
            owners[name] = CounterTrend(name, growth, _gained(snapshots, name))

    def judge_alone(name: str, gained: ProcessDeltas) -> None:
        """A process that lives long is judged alone as well: others that come and go do not hide its leak."""
        if name in owners and owners[name].growth.grows:
            return
        for pid in first_of:
            known = points(work, gained.of(pid))
            if len(known) < LEAST_LIFE * len(snapshots):
                continue
            growth = find_growth(known, floor, tolerance=tolerance)
            if growth is not None and growth.grows:
                alone = [(sample, g) for sample, g in _gained(snapshots, name) if sample.pid == pid]
                owners[name] = CounterTrend(name, growth, tuple(alone))
                return

    def judge_apart(name: str, gained: ProcessDeltas) -> None:
        """What is in flight in several processes is seldom low in all at once, and each of a row of them may need more.

        None of them may have grown over its own life, and neither may those that live too shortly to be judged.
        """
        if name not in owners or owners[name].growth.shape != "inconclusive" or len(first_of) < 2:
            return
        share = tolerance / len(first_of)
        least = min(floor, share)
        alone = {pid: find_growth(points(work, gained.of(pid)), least, tolerance=share) for pid in first_of}
        rest = gained.without({pid for pid, growth in alone.items() if growth is not None})
        judged = [growth for growth in alone.values() if growth is not None]
        if any(rest.by_sample):
            others = find_growth(points(work, rest.total()), least, tolerance=share)
            if others is None:
                return
            judged.append(others)
        if all(growth.shape in SETTLED for growth in judged):
            owners[name] = replace(
                owners[name], growth=replace(owners[name].growth, shape="stable", needs=None)
            )

    pages_floor = max(floor, PAGES_FLOOR, PAGES_FLOOR_SHARE * level)
    weight = _traced_block_bytes(recording) or _block_bytes(snapshots)
    gained = {name: read_owned_deltas(snapshots, baselines, name, weight) for name in (*EXACT, "anon_swap")}
    series = {name: each.total() for name, each in gained.items()}
    if exact:
        for name in EXACT:
            if any(value is not None for value in series[name]):
                judge(name, series[name], floor, tolerance)
                judge_alone(name, gained[name])
                judge_apart(name, gained[name])
        if "malloc" in owners:
            owners["malloc"] = _unless_unread(owners["malloc"], snapshots, work)
        rest = [
            None if pages is None else pages - sum(series[name][i] or 0.0 for name in EXACT)
            for i, pages in enumerate(series["anon_swap"])
        ]
        judge("other", rest, pages_floor, pages_floor)
    else:
        judge("pages", series["anon_swap"], pages_floor, pages_floor)
    share = _shmem_share(snapshots)
    judge("shmem", read_deltas(snapshots, baselines, "shmem", share).total(), floor, tolerance)
    files = [
        None if snapshot.tree.dev_shm is None else float(snapshot.tree.dev_shm) for snapshot in snapshots
    ]
    judge("dev_shm", files, floor, tolerance)
    own = [
        None if snapshot.tree.segments is None else float(snapshot.tree.segments) for snapshot in snapshots
    ]
    judge("segments", own, floor, tolerance)
    owners.update(within_reserved(owners, seen, snapshots, work, baselines, weight))
    for name, least in THINGS.items():
        judge(
            name,
            [None if (v := getattr(t.tree, name)) is None else float(v) for t in snapshots],
            least,
            least,
        )
    span = work[-1] - work[0] if len(work) > 1 else 0.0
    gains = {name: _change(values) for name, values in series.items()}
    afterwards = {}
    for part, name in itertools.product(after, EXACT if exact else ()):
        counted = read_owned_deltas(part, baselines, name, weight).total()
        later = points([snapshot.tree.seconds for snapshot in part], counted)
        # A question needs less than a verdict.
        growth = find_growth(later, floor / 2, tolerance=tolerance)
        # So short a time is uneven: what rose in it is a question, in whatever shape that did not stop.
        if growth is not None and growth.low > 0 and growth.shape in ("growing", "inconclusive"):
            afterwards[name] = growth
    judged_seconds = snapshots[-1].tree.seconds - snapshots[0].tree.seconds if snapshots else 0.0
    return Program(
        recording,
        seen,
        iteration,
        span,
        judged_seconds,
        owners,
        level,
        exact,
        over_run,
        first_of,
        baselines,
        gains,
        afterwards,
    )


def _unless_unread(
    malloc: CounterTrend, snapshots: Sequence[TreeSnapshot], work: Sequence[float]
) -> CounterTrend:
    """What it did, or that it was read too seldom: between two readings a step samples like even growth.

    Where it rose until it was read for the last time, it has not been seen to stop.
    """
    growth, reads, span = malloc.growth, malloc_reads(snapshots), work[-1] - work[0]
    lived = long_lived(snapshots)
    # What comes and goes is there for so few of the readings that it cannot be judged by them.
    pids = [sample.pid for sample, _ in malloc.gained if sample.pid in lived]
    if growth.shape == "stable" or not pids:
        return malloc
    gaps = unread_malloc(snapshots, work, pids[0])
    needs = f"it could be read only {reads} times"
    if growth.shape in ("growing", "inconclusive"):
        gap = max(gaps, key=lambda gap: gap.work)
        outside = sum(each.rise for each in gaps) - gap.rise
        # As much came in the rest of the work as of even growth.
        even = gap.work <= MOST_UNREAD * span or (
            gap.work <= span / 2
            and outside >= EVEN_OUTSIDE * (1 - gap.work / span) * (outside + gap.rise) > 0
        )
        if reads >= WINDOWS and (even or not growth.grows):
            return malloc
    else:
        gap = gaps[-1]
        if gap.work <= MOST_UNREAD * span:
            return malloc
    if reads >= WINDOWS:
        needs = f"it was not read for {gap.work / span:.0%} of the work"
    return replace(malloc, growth=replace(growth, shape="inconclusive", needs=needs))


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


def _change(values: Sequence[float | None]) -> int | None:
    known = [v for v in values if v is not None]
    return round(known[-1] - known[0]) if known else None


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


def _traced_block_bytes(recording: Recording) -> float | None:
    """The same where allocations were traced, which keeps CPython's allocator from telling it."""
    traces = [t for t in recording.traces or () if t.block_bytes is not None]
    return max(traces, key=lambda trace: trace.blocks).block_bytes if traces else None


def _block_bytes(snapshots: Sequence[TreeSnapshot]) -> float:
    """Bytes of one of CPython's blocks: of those that came, where both were read at two times."""
    best, weight = 1000.0, BLOCK_BYTES
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
            best, weight = blocks, min(512.0, max(16.0, held / blocks))
    return weight
