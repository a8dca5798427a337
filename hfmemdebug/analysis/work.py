"""What a watched program's work is, and during which looks it went on: rows that it read, or else seconds.

What came before are imports and preparations, and what comes after it should be tidying up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from hfmemdebug.analysis.growth import comes_evenly
from hfmemdebug.analysis.ticks import Tick
from hfmemdebug.recording.end import ProcessTrace
from hfmemdebug.recording.file import Recording

ROWS = "1000 rows"
SECONDS = "second"
# Rows are the measure of work where they were read all along, once the program had got to it.
LEAST_ROWS = 1000
LEAST_SHARE_WITH_ROWS = 0.4
LEAST_LOOKS = 22
# So many modules within so many looks are an import of a library, and not of what somebody has forgotten until then.
MANY_MODULES = 8
IMPORTING = 5
# Where none were read in the last part, something else was going on there.
READING_UNTIL = 0.75
# A process that lives for this share of the run is judged alone as well.
LEAST_LIFE = 0.5


def find_work(recording: Recording, ticks: Sequence[Tick]) -> tuple[str, list[float], slice]:
    """What is counted as work, how much of it was done at each look, and during which looks it went on.

    Args:
        recording: Says since when allocations were traced: from then on a second sees less work.
        ticks: The looks.

    Returns:
        `ROWS` or `SECONDS`, iterations of those until each look, and the looks to judge.
    """
    rows = [float(tick.tree.rows or 0) for tick in ticks]
    if rows and rows[-1] - rows[0] >= LEAST_ROWS:
        # Cumulated over processes that come and go, it may not fall.
        for i in range(1, len(rows)):
            rows[i] = max(rows[i], rows[i - 1])
        reading = [i for i in range(1, len(rows)) if rows[i] > rows[i - 1]]
        first, last = reading[0], reading[-1]
        long_enough = last - first >= LEAST_LOOKS and last >= READING_UNTIL * (len(rows) - 1)
        often = len(reading) >= LEAST_SHARE_WITH_ROWS * (last - first + 1)
        if long_enough and often and comes_evenly(rows[first - 1 : last]):
            # By the look at which the last rows are seen, the program may have begun to tidy up.
            # What the tracer's first looks leave behind comes once.
            traced = _traced(recording, ticks, lambda trace: trace.from_)
            looked = next((i for i, tick in enumerate(ticks) if tick.tree.seconds >= traced), 0)
            if last - looked >= LEAST_LIFE * len(ticks):
                first = max(first, looked)
            return ROWS, [value / 1000 for value in rows], slice(first - 1, last)
    seconds = [tick.tree.seconds for tick in ticks]
    traced = _traced(recording, ticks, lambda trace: trace.began)
    slower = next((i for i, second in enumerate(seconds) if second >= traced), 0)
    if len(ticks) - slower < LEAST_LOOKS:
        slower = 0
    started = _started(ticks)
    return SECONDS, seconds, slice(max(started.start, slower), started.stop)


def long_lived(ticks: Sequence[Tick]) -> set[int | None]:
    """The processes that were there at enough of the looks to be judged by them."""
    seen = Counter(process.pid for tick in ticks for process in tick.processes)
    return {pid for pid, looks in seen.items() if looks >= LEAST_LIFE * len(ticks)}


def imports_to_the_end(ticks: Sequence[Tick]) -> bool:
    """Whether a process that lived long had many more modules at the end than in the middle."""
    middle = {p.pid: p.modules for p in ticks[len(ticks) // 2].processes}
    last = {p.pid: p.modules for p in ticks[-1].processes}
    return len(ticks) >= LEAST_LOOKS and any(
        (last[pid] or 0) - (before or 0) >= MANY_MODULES for pid, before in middle.items() if pid in last
    )


def _traced(recording: Recording, ticks: Sequence[Tick], moment: Callable[[ProcessTrace], float]) -> float:
    """When the allocations of those that live long began to be traced, in seconds; 0 where none were.

    What is made anew for each epoch begins once more each time, and is as slow in all of them.

    Args:
        recording: Holds the traces.
        ticks: The looks.
        moment: When tracing began, or the look from which on growth is told.
    """
    traces = recording.traces or ()
    lived = long_lived(ticks) if traces else ()
    long = [moment(trace) for trace in traces if trace.pid in lived]
    return max(long or map(moment, traces), default=0.0)


def _started(ticks: Sequence[Tick]) -> slice:
    """The looks after every process had imported what it needs: until then memory grows as evenly as a leak.

    A library that is imported for what comes last, such as a chart, ends the work that was before it.
    """
    modules: dict[int | None, list[tuple[int, int]]] = {}
    for number, tick in enumerate(ticks):
        for process in tick.processes:
            if process.modules is not None:
                modules.setdefault(process.pid, []).append((number, process.modules))
    # Children that come and go import things all the time.
    long_lived = [known for known in modules.values() if len(known) >= LEAST_LIFE * len(ticks)]
    bursts = sorted(burst for known in long_lived for burst in _imports(known))
    # When nothing had been imported for so long before, and when it began once more.
    quiet = [(0, len(ticks))]
    for began, ended in bursts:
        since, _ = quiet.pop()
        quiet += [(since, max(began, since)), (max(ended, since), len(ticks))]
    last, _ = quiet[-1]
    if len(ticks) - last < LEAST_LOOKS:
        since, until = max(quiet, key=lambda span: span[1] - span[0])
        if until - since >= LEAST_LIFE * len(ticks):
            return slice(since, until)
    return slice(last, None)


def _imports(known: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """From which look to which a process imported libraries, by how many modules it had at each look."""
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
