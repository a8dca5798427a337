"""What keeps a watched program's run from showing that nothing leaks, and what would decide it."""

from __future__ import annotations

from collections.abc import Sequence

from hfmemdebug.analysis.counters import (
    COUNTERS,
    EXACT,
    MB,
    NOTEWORTHY,
    THINGS,
    CounterTrend,
)
from hfmemdebug.analysis.program import Program, read_program
from hfmemdebug.analysis.program_findings import (
    beside_garbage,
    is_garbage,
    may_be_garbage,
)
from hfmemdebug.analysis.progress import imports_to_the_end
from hfmemdebug.recording.file import Recording
from hfmemdebug.recording.header import Header
from hfmemdebug.recording.sample import TreeSample
from hfmemdebug.units import format_bytes, format_seconds

# Shared memory of a process that has the locks of queues and pools alone, each in a page of its own.
_LOCKS = 64 << 10


def open_question(program: Program) -> str | None:
    """What keeps the run from showing that nothing leaks."""
    judged = [name for name in EXACT if name in program.counters]
    if not program.counters or (program.exact and not judged):
        if imports_to_the_end(program.snapshots):
            return (
                "it imported modules until its end, and what they take cannot be told from growth; let it run "
                "longer, or import all before the work"
            )
        return (
            f"it was watched for {format_seconds(program.seconds)}, which is too short to tell growth from "
            "starting up; let it run longer"
        )
    if may_be_garbage(program) and not is_garbage(program):
        if (rest := beside_garbage(program)) >= program.floor:
            return (
                "Python objects grew, and at the end the collector took many of them as garbage; whether the other "
                f"{format_bytes(rest)} go on growing a longer run would tell"
            )
        return (
            "Python objects grew, and at the end the collector took as many that were garbage, which imports may have "
            "left behind; a longer run would tell"
        )
    for name, growth in program.afterwards.items():
        return (
            f"{COUNTERS[name].words} grew by {format_bytes(growth.growth)} after the "
            "analysed interval, which was not for long; a longer run would tell"
        )
    return next(
        (
            asked
            for counter in program.counters.values()
            if (asked := _asked_of(program, counter)) is not None
        ),
        None,
    )


def _asked_of(program: Program, counter: CounterTrend) -> str | None:
    """What of one counter's growth is open."""
    name, growth = counter.name, counter.trend
    if name == "dev_shm" and growth.grows:
        if _cannot_fill_shm(program, counter):
            return None
        return "files in /dev/shm grew evenly, and whose they are cannot be told; look who else uses it"
    steady = is_steady_below_floor(program, counter)
    if steady and (name == "pages" or (name == "other" and growth.growth >= NOTEWORTHY)):
        # No counter says whose they are: what rose all along is not called none.
        return (
            f"{COUNTERS[name].words} grew by {format_bytes(growth.rate)} per {program.iteration} all along, which is "
            f"too little in {format_seconds(program.seconds)} to be told from what allocators do; watch it for longer"
        )
    if name in EXACT and _tracing_may_hide(program, counter):
        return (
            f"{COUNTERS[name].words} grew by {format_bytes(growth.growth)} while tracing disturbed the counters; "
            "without --trace it can be told whether that goes on"
        )
    if name == "other" and growth.grows:
        return (
            f"{COUNTERS[name].words} grew by {format_bytes(growth.growth)}, and what tracing has in use is among it; "
            "without --trace it can be told"
        )
    if growth.shape != "inconclusive":
        return None
    rise = growth.high * program.iterations
    if name in ("other", "pages") and growth.growth < NOTEWORTHY:
        return None
    if name in THINGS and growth.low <= 0:
        # Workers that come and go bring some and take them away.
        return None
    if name == "dev_shm":
        # What others put there is seldom even: it says nothing about this program.
        return None
    unit = "" if name in THINGS else f", up to {format_bytes(rise)} over the run"
    return f"{COUNTERS[name].words}: {growth.needs}{unit}; a longer run would tell"


def is_steady_below_floor(program: Program, counter: CounterTrend) -> bool:
    """Whether a counter rose all along, by too little to be called growth."""
    growth = counter.trend
    return (
        growth.shape == "stable"
        and growth.low > 0.8 * growth.rate
        and growth.rate * program.iterations > MB / 8
    )


def _cannot_fill_shm(program: Program, counter: CounterTrend) -> bool:
    """Whether the program has not written as much as came to /dev/shm, and never maps anything there.

    What maps one file after the other is never seen with all of them.
    """
    written = program.recording.end.written_bytes
    mapped = max((p.shmem or 0 for snapshot in program.snapshots for p in snapshot.processes), default=0)
    return written is not None and mapped < _LOCKS and bool(written < counter.trend.growth / 2)


def _tracing_may_hide(program: Program, counter: CounterTrend) -> bool:
    """Whether what grew, by both its ends and its pace, is within what a reading of a traced program moves."""
    if program.recording.traces is None:
        return False
    least = min(counter.trend.growth, counter.trend.rate * program.iterations)
    return counter.trend.shape == "stable" and least >= program.floor


def judge_so_far(header: Header, trees: Sequence[TreeSample]) -> str:
    """Judges a program that goes on, in a few words.

    Args:
        header: Its recording's header, with the floor below which nothing is called growth.
        trees: What was read of it so far.
    """
    program = read_program(Recording(header, trees=trees))
    counter = program.counters.get("pages")
    if counter is None:
        return "watching"
    if is_steady_below_floor(program, counter):
        return "growing, too little so far to judge"
    words = {
        "growing": "sustained growth",
        "stable": "not growing",
        "step": "grew once",
        "plateau": "grew and stopped",
        "inconclusive": "not clear yet",
    }
    return words[counter.trend.shape]
