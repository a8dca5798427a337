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


def read_ticks(samples: Sequence[Sample]) -> tuple[Tick, ...]:
    """The looks of a recording, up to where the program began to end."""
    return _without_ending(_with_malloc(_gather(samples)))


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


def _without_ending(ticks: list[Tick]) -> tuple[Tick, ...]:
    """Leaves out what comes after the program has begun to end: there memory is freed that it had all along."""
    root = ticks[0].processes[0].pid if ticks and ticks[0].processes else None
    kept = [t for t in ticks if not any(p.ending and p.pid == root for p in t.processes)]
    # Workers and children are let go one after the other: from the last look at which all were there.
    children = [t.tree.children or 0 for t in kept]
    last = len(children) - 1
    while last > 0 and children[last - 1] >= children[last]:
        last -= 1
    if children:
        last += max(i for i, n in enumerate(children[last:]) if n == children[last])
    if len(kept) - 1 - last <= MOST_ENDING * len(kept):
        kept = kept[: last + 1]
    return tuple(kept)
