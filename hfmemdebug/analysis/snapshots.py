"""Reads the samples of a watched program: the tree at each, what each process has gained, and what its work is.

What a fork has inherited is its parent's, and is not counted again. Work are rows that the program reads, or else
seconds; what came before it are imports and preparations, and what comes after it should be tidying up.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from math import ceil

from hfmemdebug.analysis.growth import LEAST_POINTS, WARMUP, comes_evenly, find_growth
from hfmemdebug.analysis.series import value
from hfmemdebug.analysis.trend import Trend
from hfmemdebug.recording.end import ProcessTrace
from hfmemdebug.recording.file import Recording
from hfmemdebug.recording.sample import ProcessSample, TreeSample


@dataclass(frozen=True)
class TreeSnapshot:
    """One sample of the tree.

    Attributes:
        tree: The sums.
        processes: A sample for each living process.
    """

    tree: TreeSample
    processes: tuple[ProcessSample, ...]


def read_snapshots(trees: Sequence[TreeSample]) -> tuple[tuple[TreeSnapshot, ...], tuple[TreeSnapshot, ...]]:
    """The samples of a recording, up to where the program began to let go of its children, and those after that."""
    snapshots = _with_malloc([TreeSnapshot(tree, tree.processes) for tree in trees])
    root = snapshots[0].processes[0].pid if snapshots and snapshots[0].processes else None
    # From there on memory is freed that it had all along.
    snapshots = [t for t in snapshots if not any(p.ending and p.pid == root for p in t.processes)]
    last = _before_children_end(snapshots)
    return tuple(snapshots[:last]), tuple(snapshots[last:])


def malloc_reads(snapshots: Sequence[TreeSnapshot]) -> int:
    """How often malloc was read, in the process in which that was done most often."""
    first: dict[int | None, int] = {}
    last: dict[int | None, int] = {}
    for snapshot in snapshots:
        for p in snapshot.processes:
            if p.malloc is not None:
                # Other recordings were made by those who read it at every sample.
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


def unread_malloc(snapshots: Sequence[TreeSnapshot], work: Sequence[float], pid: int | None) -> list[Unread]:
    """The work between any two readings of a process's malloc, from when it was first seen to when it was last."""
    found: list[Unread] = []
    since, value, seen = work[0], None, work[0]
    # The first value that is seen here may have been read before any of this work.
    last: int | None = None
    for x, snapshot in zip(work, snapshots, strict=True):
        for p in snapshot.processes:
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


def _with_malloc(snapshots: list[TreeSnapshot]) -> list[TreeSnapshot]:
    """Malloc's bytes at each sample: between two readings, which are far apart where its heap is torn, on the way."""
    fresh: dict[int | None, list[tuple[int, int]]] = {}
    reads: dict[int | None, int] = {}
    for number, snapshot in enumerate(snapshots):
        for p in snapshot.processes:
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
        TreeSnapshot(
            snapshot.tree,
            tuple(replace(p, malloc=between.get((p.pid, number), p.malloc)) for p in snapshot.processes),
        )
        for number, snapshot in enumerate(snapshots)
    ]


def _before_children_end(snapshots: Sequence[TreeSnapshot]) -> int:
    """How many samples there are up to the last one at which all children were there, which are let go one by one."""
    children = [t.tree.children or 0 for t in snapshots]
    last = len(children) - 1
    while last > 0 and children[last - 1] >= children[last]:
        last -= 1
    if children:
        last += max(i for i, n in enumerate(children[last:]) if n == children[last])
    return last + 1 if len(snapshots) - 1 - last <= WARMUP * len(snapshots) else len(snapshots)


_COUNTERS = ("anon_swap", "shmem", "blocks", "malloc", "arrow", "reserved", "mapped")

# By process and counter.
Baselines = dict[int, dict[str, float]]


def read_baselines(snapshots: Sequence[TreeSnapshot]) -> Baselines:
    """Returns what each fork had of each counter when that was first read."""
    baselines: Baselines = {}
    # Between fork and exec every process is a copy: what it came to be counts.
    copies = {p.pid: p.forked for snapshot in snapshots for p in snapshot.processes}
    for snapshot in snapshots:
        for process in snapshot.processes:
            if not copies[process.pid]:
                continue
            base = baselines.setdefault(process.pid, {})
            for name in _COUNTERS:
                if name not in base and (found := value(process, name)) is not None:
                    base[name] = found
    return baselines


def gain(sample: ProcessSample, baselines: Baselines, name: str) -> float | None:
    """Returns what a process has gained since it was first seen, or since it began where it is no copy."""
    now = value(sample, name)
    return None if now is None else now - baselines.get(sample.pid, {}).get(name, 0.0)


@dataclass(frozen=True)
class ProcessDeltas:
    """The gains of one counter.

    Attributes:
        by_sample: At each sample the gain of each process of which the counter was known, by PID.
    """

    by_sample: tuple[dict[int, float], ...]

    def total(self) -> list[float | None]:
        """Over all processes; None where the counter was known of none."""
        return [sum(each.values()) if each else None for each in self.by_sample]

    def of(self, pid: int) -> list[float | None]:
        """Of one process; None where it was not known."""
        return [each.get(pid) for each in self.by_sample]

    def without(self, pids: Collection[int | None]) -> ProcessDeltas:
        """Those of the other processes."""
        return ProcessDeltas(
            tuple({pid: g for pid, g in each.items() if pid not in pids} for each in self.by_sample)
        )


@dataclass(frozen=True)
class Stretch:
    """A part of a watched program's run.

    Attributes:
        snapshots: Its samples.
        work: Work done until each of them: 1000 rows, or seconds.
        baselines: What forks have inherited.
        block_bytes: Bytes of one of CPython's blocks.
    """

    snapshots: tuple[TreeSnapshot, ...]
    work: tuple[float, ...]
    baselines: Baselines
    block_bytes: float

    @property
    def seconds(self) -> float:
        """The time between the first and the last sample."""
        return self.snapshots[-1].tree.seconds - self.snapshots[0].tree.seconds if self.snapshots else 0.0

    def of_tree(self, name: str) -> list[float | None]:
        """A field of the sums at each sample."""
        return [value(snapshot.tree, name) for snapshot in self.snapshots]

    def deltas(self, name: str, weight: float = 1.0) -> ProcessDeltas:
        """Returns what each process has gained of a counter, in bytes: of ``python`` the blocks are counted.

        What a fork gives back of what it has inherited is in use all the same: its parent has it.

        Args:
            name: The counter.
            weight: By which it is multiplied.
        """
        if name == "python":
            name, weight = "blocks", self.block_bytes
        by_sample: list[dict[int, float]] = []
        freed: dict[int, float] = {}
        for snapshot in self.snapshots:
            deltas: dict[int, float] = {}
            for process in snapshot.processes:
                gained = gain(process, self.baselines, name)
                if gained is None:
                    continue
                if process.pid in self.baselines:
                    freed[process.pid] = min(gained, freed.get(process.pid, 0.0))
                deltas[process.pid] = weight * (gained - freed.get(process.pid, 0.0))
            by_sample.append(deltas)
        return ProcessDeltas(tuple(by_sample))

    def trend(
        self, values: Sequence[float | None], floor: float, tolerance: float = 0.0, *, seldom: bool = False
    ) -> Trend | None:
        """Decides what a counter does over the work, as `find_growth` does; None in values for what was not read."""
        known = [(x, y) for x, y in zip(self.work, values, strict=True) if y is not None]
        return find_growth(known, floor, tolerance=tolerance, seldom=seldom)


ROWS = "1000 rows"
SECONDS = "second"
# As many samples that what is left after the warm-up is enough for `find_growth`.
LEAST_SAMPLES = ceil(LEAST_POINTS / (1 - WARMUP))
# A process that lives for this share of the run is judged alone as well.
LEAST_LIFE = 0.5
# So many modules within so many samples are an import of a library, and not of a module that is needed now and then.
MANY_MODULES = 8
IMPORTING = 5


def progress_axis(recording: Recording, snapshots: Sequence[TreeSnapshot]) -> tuple[str, list[float], slice]:
    """Returns what is counted as work, how much of it was done at each sample, and during which samples it went on.

    Args:
        recording: Says since when allocations were traced: from then on a second sees less work.
        snapshots: The samples.

    Returns:
        `ROWS` or `SECONDS`, iterations of those until each sample, and the samples to judge.
    """
    rows = [float(snapshot.tree.rows or 0) for snapshot in snapshots]
    if rows and rows[-1] - rows[0] >= 1000:
        # Cumulated over processes that come and go, it may not fall.
        for i in range(1, len(rows)):
            rows[i] = max(rows[i], rows[i - 1])
        reading = [i for i in range(1, len(rows)) if rows[i] > rows[i - 1]]
        first, last = reading[0], reading[-1]
        long_enough = last - first >= LEAST_SAMPLES and last >= LEAST_LIFE * (len(rows) - 1)
        if long_enough and comes_evenly(rows[first - 1 : last]):
            # By the sample at which the last rows are seen, the program may have begun to tidy up.
            # What the tracer's first readings leave behind comes once.
            traced = _traced(recording, snapshots, lambda trace: trace.from_)
            looked = next((i for i, snapshot in enumerate(snapshots) if snapshot.tree.seconds >= traced), 0)
            if last - looked >= LEAST_LIFE * len(snapshots):
                first = max(first, looked)
            return ROWS, [value / 1000 for value in rows], slice(first - 1, last)
    seconds = [snapshot.tree.seconds for snapshot in snapshots]
    traced = _traced(recording, snapshots, lambda trace: trace.began)
    slower = next((i for i, second in enumerate(seconds) if second >= traced), 0)
    if len(snapshots) - slower < LEAST_SAMPLES:
        slower = 0
    started = _started(snapshots)
    return SECONDS, seconds, slice(max(started.start, slower), started.stop)


def long_lived(snapshots: Sequence[TreeSnapshot]) -> set[int | None]:
    """The processes that were there at enough of the samples to be judged by them."""
    seen = Counter(process.pid for snapshot in snapshots for process in snapshot.processes)
    return {pid for pid, samples in seen.items() if samples >= LEAST_LIFE * len(snapshots)}


def imports_to_the_end(snapshots: Sequence[TreeSnapshot]) -> bool:
    """True where a process that lived long had many more modules at the end than in the middle."""
    middle = {p.pid: p.modules for p in snapshots[len(snapshots) // 2].processes}
    last = {p.pid: p.modules for p in snapshots[-1].processes}
    return len(snapshots) >= LEAST_SAMPLES and any(
        (last[pid] or 0) - (before or 0) >= MANY_MODULES for pid, before in middle.items() if pid in last
    )


def _traced(
    recording: Recording, snapshots: Sequence[TreeSnapshot], moment: Callable[[ProcessTrace], float]
) -> float:
    """When the allocations of those that live long began to be traced, in seconds; 0 where none were.

    What is made anew for each epoch begins once more each time, and is as slow in all of them.

    Args:
        recording: Holds the traces.
        snapshots: The samples.
        moment: When tracing began, or the sample from which on growth is told.
    """
    traces = recording.traces or ()
    lived = long_lived(snapshots) if traces else ()
    long = [moment(trace) for trace in traces if trace.pid in lived]
    return max(long or map(moment, traces), default=0.0)


def _started(snapshots: Sequence[TreeSnapshot]) -> slice:
    """The samples after every process had imported what it needs: until then memory grows as evenly as a leak.

    A library that is imported for what comes last, such as a chart, ends the work that was before it.
    """
    modules: dict[int | None, list[tuple[int, int]]] = {}
    for number, snapshot in enumerate(snapshots):
        for process in snapshot.processes:
            if process.modules is not None:
                modules.setdefault(process.pid, []).append((number, process.modules))
    # Children that come and go import things all the time.
    long_lived = [known for known in modules.values() if len(known) >= LEAST_LIFE * len(snapshots)]
    bursts = sorted(burst for known in long_lived for burst in _imports(known))
    # When nothing had been imported for so long before, and when it began once more.
    quiet = [(0, len(snapshots))]
    for began, ended in bursts:
        since, _ = quiet.pop()
        quiet += [(since, max(began, since)), (max(ended, since), len(snapshots))]
    last, _ = quiet[-1]
    if len(snapshots) - last < LEAST_SAMPLES:
        since, until = max(quiet, key=lambda span: span[1] - span[0])
        if until - since >= LEAST_LIFE * len(snapshots):
            return slice(since, until)
    return slice(last, None)


def _imports(known: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """From which sample to which a process imported libraries, by how many modules it had at each sample."""
    found: list[tuple[int, int]] = []
    recent: list[tuple[int, int]] = []
    before = 0
    for number, modules in known:
        recent = [rise for rise in recent if number - rise[0] < IMPORTING]
        if modules > before:
            recent.append((number, modules - before))
        before = modules
        if recent and sum(more for _, more in recent) >= MANY_MODULES:
            began = recent[0][0]
            if found and began <= found[-1][1]:
                began = found.pop()[0]
            found.append((began, recent[-1][0]))
    return found
