"""The looks at a watched program, from its recording."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

from hfmemdebug.recording.sample import Sample

# What ends the run is cut off, up to this share of it.
MOST_ENDING = 0.3


@dataclass(frozen=True)
class Tick:
    """One look at the tree.

    Attributes:
        tree: The sums.
        processes: A sample for each living process.
    """

    tree: Sample
    processes: tuple[Sample, ...]


def read_ticks(samples: Sequence[Sample]) -> tuple[tuple[Tick, ...], tuple[Tick, ...]]:
    """The looks of a recording, up to where the program began to let go of its children, and those after that."""
    ticks = _with_malloc(_gather(samples))
    root = ticks[0].processes[0].pid if ticks and ticks[0].processes else None
    # From there on memory is freed that it had all along.
    ticks = [t for t in ticks if not any(p.ending and p.pid == root for p in t.processes)]
    last = _with_all_children(ticks)
    return tuple(ticks[:last]), tuple(ticks[last:])


def malloc_reads(ticks: Sequence[Tick]) -> int:
    """How often malloc was read, in the process in which that was done most often."""
    first: dict[int | None, int] = {}
    last: dict[int | None, int] = {}
    for tick in ticks:
        for p in tick.processes:
            if p.malloc is not None:
                # Other recordings were made by those who read it at every look.
                last[p.pid] = last.get(p.pid, 0) + 1 if p.malloc_reads is None else p.malloc_reads
                first.setdefault(p.pid, last[p.pid] - 1)
    return max((last[pid] - first[pid] for pid in last), default=0)


@dataclass(frozen=True)
class Unread:
    """Work of a process in which its malloc was not read anew.

    Attributes:
        work: How much of it.
        rise: Bytes that its malloc had more at the end; 0 where it was not read any more.
    """

    work: float
    rise: int


def unread_malloc(ticks: Sequence[Tick], work: Sequence[float], pid: int | None) -> list[Unread]:
    """The work between any two readings of a process's malloc, from when it was first seen to when it was last."""
    found: list[Unread] = []
    since, value, seen = work[0], None, work[0]
    # The first value that is seen here may have been read before any of this work.
    last: int | None = None
    for x, tick in zip(work, ticks, strict=True):
        for p in tick.processes:
            if p.pid != pid or p.malloc is None:
                continue
            if value is None:
                since, value = x, p.malloc
            seen = x
            if p.malloc_reads is None or (last is not None and p.malloc_reads != last):
                found.append(Unread(x - since, p.malloc - value))
                since, value = x, p.malloc
            last = p.malloc_reads
    return [*found, Unread(seen - since, 0)]


def _gather(samples: Sequence[Sample]) -> list[Tick]:
    ticks: list[Tick] = []
    waiting: list[Sample] = []
    for sample in samples:
        if sample.kind == "process":
            waiting.append(sample)
        elif sample.kind == "tree":
            ticks.append(Tick(sample, tuple(waiting)))
            waiting = []
    return ticks


def _with_malloc(ticks: list[Tick]) -> list[Tick]:
    """Malloc's bytes at each look: between two readings, which are far apart where its heap is torn, on the way."""
    fresh: dict[int | None, list[tuple[int, int]]] = {}
    reads: dict[int | None, int] = {}
    for number, tick in enumerate(ticks):
        for p in tick.processes:
            if p.malloc is None or p.malloc_reads is None or reads.get(p.pid) == p.malloc_reads:
                continue
            reads[p.pid] = p.malloc_reads
            fresh.setdefault(p.pid, []).append((number, p.malloc))
    between: dict[tuple[int | None, int], int] = {}
    for pid, found in fresh.items():
        for (a, before), (b, after) in itertools.pairwise(found):
            for number in range(a + 1, b):
                between[pid, number] = round(before + (after - before) * (number - a) / (b - a))
    return [
        Tick(
            tick.tree,
            tuple(replace(p, malloc=between.get((p.pid, number), p.malloc)) for p in tick.processes),
        )
        for number, tick in enumerate(ticks)
    ]


def _with_all_children(ticks: Sequence[Tick]) -> int:
    """How many looks there are up to the last one at which all children were there, which are let go one by one."""
    children = [t.tree.children or 0 for t in ticks]
    last = len(children) - 1
    while last > 0 and children[last - 1] >= children[last]:
        last -= 1
    if children:
        last += max(i for i, n in enumerate(children[last:]) if n == children[last])
    return last + 1 if len(ticks) - 1 - last <= MOST_ENDING * len(ticks) else len(ticks)
