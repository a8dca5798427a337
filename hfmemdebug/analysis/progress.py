"""What a watched program's work is, and during which samples it went on: rows that it read, or else seconds.

What came before are imports and preparations, and what comes after it should be tidying up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from math import ceil

from hfmemdebug.analysis.growth import LEAST_POINTS, WARMUP, comes_evenly
from hfmemdebug.analysis.snapshots import TreeSnapshot
from hfmemdebug.recording.end import ProcessTrace
from hfmemdebug.recording.file import Recording

ROWS = "1000 rows"
SECONDS = "second"
# As many samples that what is left after the warm-up is enough for `find_growth`.
LEAST_SAMPLES = ceil(LEAST_POINTS / (1 - WARMUP))
# So many modules within so many samples are an import of a library, and not of what somebody has forgotten until then.
# A process that lives for this share of the run is judged alone as well.
LEAST_LIFE = 0.5
MANY_MODULES = 8
IMPORTING = 5


def progress_axis(recording: Recording, snapshots: Sequence[TreeSnapshot]) -> tuple[str, list[float], slice]:
    """What is counted as work, how much of it was done at each sample, and during which samples it went on.

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
    """Whether a process that lived long had many more modules at the end than in the middle."""
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
