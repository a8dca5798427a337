"""Makes findings of a watched program's counters: what leaks, where it is made and held, and what came and stopped."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import replace

from hfmemdebug.analysis.counters import (
    COUNTERS,
    EXACT,
    MB,
    NOTEWORTHY,
    PAGE,
    PAGES_FLOOR,
    THINGS,
    CounterTrend,
)
from hfmemdebug.analysis.findings import HOW_IT_FILLED, benign
from hfmemdebug.analysis.growth import WARMUP
from hfmemdebug.analysis.program import Program
from hfmemdebug.analysis.snapshots import SECONDS, gain
from hfmemdebug.analysis.trend import STEADY
from hfmemdebug.leak import Holder, Site, merge_sites
from hfmemdebug.recording.end import BoundedText, Cache, ProcessTrace
from hfmemdebug.recording.sample import ProcessSample
from hfmemdebug.result import Finding
from hfmemdebug.units import format_bytes, format_count, format_seconds

MOST_SITES = 5
MOST_HOLDERS = 3
# What a process has gained beside one that has gained ten times as much is what any process gathers.
LEAST_OF_THE_MOST = 0.1


def find_origin(
    program: Program, guilty: Sequence[CounterTrend]
) -> tuple[tuple[Site, ...], tuple[Holder, ...]]:
    """Returns sites and holders, the largest first.

    Lines that make segments of shared memory are always known; the others where the program was traced.
    """
    exact = [counter.name for counter in guilty if counter.name in EXACT]
    pids = {
        sample.pid
        for counter in guilty
        for sample, gained in counter.gained
        if gained > 0 and gained >= LEAST_OF_THE_MOST * counter.gained[0][1]
    }
    # Of descriptors and child processes only the sum is known.
    of_any_process = any(not counter.gained for counter in guilty)
    sites: list[Site] = []
    holders: dict[str, Holder] = {}
    for trace in program.recording.traces or ():
        iterations = program.iterations_between(trace.from_, trace.to)
        if not (of_any_process or trace.pid in pids) or not iterations:
            continue
        # What C libraries ask malloc for has no line in Python, and what a library keeps beside it is none.
        found = trace.sites if exact else ()
        sites += [site.per(iterations) for site in found if "python" in exact or not site.in_library]
        for holder in trace.holders:
            known = holders.get(holder.path)
            more = known.growth_per_iteration if known is not None else 0.0
            holders[holder.path] = replace(
                known or holder, growth_per_iteration=holder.growth_per_iteration / iterations + more
            )
    if any(counter.name == "segments" for counter in guilty):
        segments = _of_segments(program)
        places = {site.place for site in segments}
        sites = [*segments, *(site for site in sites if site.place not in places)]
    ranked = sorted(merge_sites(sites), key=lambda site: -site.bytes_per_iteration)
    total = sum(site.bytes_per_iteration for site in ranked)
    return (
        tuple(site.rounded(total) for site in ranked[:MOST_SITES]),
        tuple(
            replace(holder, growth_per_iteration=round(holder.growth_per_iteration, 2))
            for holder in sorted(holders.values(), key=lambda h: -h.growth_per_iteration)[:MOST_HOLDERS]
        ),
    )


def _of_segments(program: Program) -> list[Site]:
    """Returns the lines that made the segments which were there when there were most."""
    return [
        Site(line.file, line.line, line.function, "native", line.bytes, line.count).per(program.iterations)
        for line in program.recording.end.shm_lines
        if program.iterations
    ]


_BENIGN_CAUSE = {"step": "step", "plateau": "bounded-cache"}
# Python objects own the buffers that malloc keeps where one comes with at most this much.
_MOST_PER_OBJECT = 4 * MB
_LEAST_OBJECTS = 64.0
# Where no name leads to them, what was traced of them is at least this share of it.
_LEAST_TRACED = 0.01
# Key, value, what they consist of, and the links between them.
_BLOCKS_AN_ENTRY = 20
_COUNTED_TIMES, _LINKS = 1.5, 5
# What has grown at one pace from nothing has what comes at that pace in the judged part, and at most in the whole run.
_OF_A_VALUE = (0.6, 1.5)
# `log = (log + more)[-most:]` makes two more for a moment, in which malloc may have been read.
_COPIES = 3
# Garbage in cycles that the collector had not come to.
# `import datasets` leaves 2,300 blocks in cycles behind; with torch and transformers it is several times as many.
_GARBAGE_OF_IMPORTS = 20_000


def leaks_of(program: Program, guilty: Sequence[CounterTrend]) -> tuple[Finding, ...]:
    """Returns what the counters that leak amount to: buffers that Python's objects own are one with the objects."""
    found = [_leak_of(program, counter) for counter in guilty]
    objects = [leak for leak in found if leak.cause == "python-objects"]
    if len(objects) < 2:
        return _largest_first(found)
    intervals = [leak.interval for leak in objects if leak.interval is not None]
    together = replace(
        max(objects, key=lambda leak: leak.growth_bytes),
        growth_bytes=sum(leak.growth_bytes for leak in objects),
        rate_bytes_per_iteration=round(sum(leak.rate_bytes_per_iteration or 0.0 for leak in objects), 1),
        interval=(round(sum(low for low, _ in intervals), 1), round(sum(high for _, high in intervals), 1)),
    )
    return _largest_first(
        [together if leak is objects[0] else leak for leak in found if leak not in objects[1:]]
    )


def _largest_first(leaks: Sequence[Finding]) -> tuple[Finding, ...]:
    """Those of exact counters by size: the first gives the result its cause. The others stand where they stood."""
    exact = {COUNTERS[name].cause for name in EXACT}
    by_size = iter(
        sorted((leak for leak in leaks if leak.cause in exact), key=lambda leak: -leak.growth_bytes)
    )
    return tuple(next(by_size) if leak.cause in exact else leak for leak in leaks)


def _leak_of(program: Program, counter: CounterTrend) -> Finding:
    """Returns what an counter that grows amounts to."""
    growth = counter.trend
    cause = counter.kind.cause
    if counter.name == "malloc" and (
        _is_pythons(program) or ("python" in program.counters and program.counters["python"].trend.grows)
    ):
        cause = "python-objects"
    unit = PAGE if counter.name in THINGS else 1
    return Finding(
        cause=cause,
        role="leak",
        growth_bytes=round(growth.growth * unit),
        rate_bytes_per_iteration=round(growth.rate * unit, 1),
        interval=(round(growth.low * unit, 1), round(growth.high * unit, 1)),
        shape="growing",
        reclaimable=False,
        detail=_who(counter, cause),
        arm="program",
    )


def _who(counter: CounterTrend, cause: str) -> str | None:
    """Returns which process it is in."""
    if counter.name in THINGS:
        return f"{format_count(counter.trend.growth)} more of {counter.kind.things}"
    gained = [(sample, g) for sample, g in counter.gained if g > 0]
    whole = sum(g for _, g in gained)
    if not gained or not whole:
        # Of files it is not told which process has made them.
        return counter.kind.words if counter.name in ("segments", "dev_shm") else None
    most, share = gained[0][0], gained[0][1] / whole
    # Where objects own them, malloc's bytes are called by the objects' name.
    what = COUNTERS["python" if cause == "python-objects" else counter.name].words
    if share >= STEADY:
        return f"{what}, {share:.0%} of it in {most.role} (PID {most.pid})"
    roles = ", ".join(dict.fromkeys(str(sample.role) for sample, _ in gained[:4]))
    return f"{what}, spread over {len(gained)} processes ({roles})"


def _is_pythons(program: Program) -> bool:
    """True where what malloc keeps are Python objects' buffers: objects that came along, one for each of them."""
    malloc, python = program.counters.get("malloc"), program.counters.get("python")
    if malloc is None or python is None:
        return False
    objects = _objects_that_stayed(program, malloc)
    if objects is None:
        # What wanders in other processes owns nothing in these.
        most = max((gained for _, gained in malloc.gained), default=0.0)
        pids = {sample.pid for sample, gained in malloc.gained if gained >= LEAST_OF_THE_MOST * most > 0}
        gains = [gained for sample, gained in python.gained if gained > 0 and sample.pid in pids]
        objects = sum(gains) if python.trend.rate > 0 else 0.0
    return objects >= _LEAST_OBJECTS and malloc.trend.growth / objects <= _MOST_PER_OBJECT


def _objects_that_stayed(program: Program, malloc: CounterTrend) -> float | None:
    """Objects that were made and stayed, by the lines that made them, where those processes were traced.

    The number of all blocks moves by thousands with what tracing itself keeps.
    """
    pids = {sample.pid for sample, gained in malloc.gained if gained > 0}
    found: list[float] = []
    for trace, iterations in _traces_of(program, pids):
        stayed = sum(site.count_per_iteration or 0.0 for site in trace.sites)
        traced = sum(site.bytes_per_iteration for site in trace.sites if (site.count_per_iteration or 0) > 0)
        if not trace.holders and traced < _LEAST_TRACED * malloc.trend.rate * iterations:
            # A few things stay here and there, in whatever is traced.
            stayed = 0.0
        found.append(stayed * program.iterations / iterations)
    return sum(found) if found else None


def _traces_of(program: Program, pids: Container[int | None]) -> Iterator[tuple[ProcessTrace, float]]:
    """The traces of some processes, each with the iterations over which its growth is told."""
    for trace in program.recording.traces or ():
        iterations = program.iterations_between(trace.from_, trace.to)
        if trace.pid in pids and iterations:
            yield trace, iterations


def filling_cache(program: Program, guilty: Sequence[CounterTrend]) -> str | None:
    """Returns what grew where it may be a cache alone that is not full yet; None where it is not.

    Its entries must consist of as many blocks as have come; and it must be full before the memory is.
    """
    end, memory = program.recording.end, program.recording.header.memory_bytes
    traced = [
        Cache(holder.path, holder.entries or 0, holder.bound.entries)
        for trace in end.traces or ()
        for holder in trace.holders
        if holder.bound is not None and 0 < (holder.entries or 0) < holder.bound.entries
    ]
    if not guilty or any(counter.name not in EXACT for counter in guilty):
        return None
    python = program.counters.get("python")
    blocks = sum(gained for _, gained in python.gained if gained > 0) if python is not None else 0.0
    grown = sum(counter.trend.growth for counter in guilty)
    # A tracer sees the same that is seen at the end.
    for caches in (end.caches, traced):
        most = max(caches, key=_most_blocks, default=None)
        if most is None or blocks > sum(map(_most_blocks, caches)):
            continue
        if _fits(most.entries, most.bound, grown, memory):
            return (
                f"what grew may be a cache with a bound that the run did not reach, {most.path}, with "
                f"{format_count(most.entries)} entries at the end; a longer run would fill it"
            )
    for values in (end.values, end.returned_values):
        if (words := _cut_later(program, values, guilty, memory)) is not None:
            return words
    for variable in end.variables:
        # Of how many entries it consists nobody knows: one for each block at most.
        entries = min(blocks, variable.bound)
        if blocks <= _BLOCKS_AN_ENTRY * entries and _fits(entries, variable.bound, grown, memory):
            return (
                "what grew was given back as a function returned, and may be a cache with a bound that the run did "
                f"not reach, {variable.path}; with --trace it can be told"
            )
    return None


def _cut_later(
    program: Program, values: Sequence[BoundedText], guilty: Sequence[CounterTrend], memory: int | None
) -> str | None:
    """Returns what grew where it may be a text, or all of them, that is not as long yet as the code lets it get."""
    if not values or [counter.name for counter in guilty] != ["malloc"]:
        return None
    gained = {sample.pid: gained for sample, gained in guilty[0].gained if gained > 0}
    if gained.get(values[0].pid, 0.0) < STEADY * sum(gained.values()):
        return None
    # The judged part may begin late: after the imports, or with the tracer's first readings.
    whole = program.snapshots[-1].tree.seconds if program.iteration == SECONDS else program.rows / 1000
    rate = guilty[0].trend.rate
    least, most = _OF_A_VALUE[0] * rate * program.iterations, _OF_A_VALUE[1] * rate * whole
    for value in (_together(values), *values):
        # One that was as long before the program worked has a bound too, and has not grown.
        at_most = most if value.most_bytes is None else min(most * _COPIES, value.most_bytes)
        if least <= value.bytes <= at_most and (not memory or value.bound_bytes <= memory):
            when = "" if value.most_bytes is None else " before a function returned"
            return (
                "what grew may be a text or an array that the code cuts at a length which the run did not reach, "
                f"{value.path}, with {format_bytes(value.bytes)} at the end{when}; a longer run would get there"
            )
    return None


def _together(values: Sequence[BoundedText]) -> BoundedText:
    """All of them as one; what functions have given back is all of it already."""
    bound, most = sum(value.bound_bytes for value in values), values[0].most_bytes
    if most is None:
        return replace(values[0], bound_bytes=bound, bytes=sum(value.bytes for value in values))
    return replace(values[0], bound_bytes=bound, most_bytes=sum(value.most_bytes or 0 for value in values))


def _most_blocks(cache: Cache) -> float:
    """How many blocks a cache can have: of some entries it was counted what they consist of, but for the links."""
    counted = cache.blocks_an_entry
    each = _BLOCKS_AN_ENTRY if counted is None else _COUNTED_TIMES * counted + _LINKS
    return float(each * cache.entries)


def _fits(entries: float, bound: float, grown: float, memory: int | None) -> bool:
    """True where a cache with so many entries, which are what grew, is full before the memory is."""
    return entries > 0 and (not memory or bound * grown / entries <= memory)


def is_garbage(program: Program) -> bool:
    """True where what grew was garbage in cycles: the collector took it as the program ended, and left no leak."""
    if not may_be_garbage(program) or _garbage(program) < _GARBAGE_OF_IMPORTS:
        return False
    return beside_garbage(program) < program.floor


def beside_garbage(program: Program) -> float:
    """Bytes of Python objects that came and were no garbage, at least."""
    python = program.counters["python"]
    gained = sum(gained for _, gained in python.gained if gained > 0)
    return python.trend.growth * max(0.0, 1 - _garbage(program) / gained) if gained else 0.0


def may_be_garbage(program: Program) -> bool:
    """True where the collector took as much as had grown, which may have been there since the imports."""
    python = program.counters.get("python")
    if python is None or not python.trend.grows or _is_held(program, python):
        return False
    if program.recording.traces is not None and _garbage(program) >= _GARBAGE_OF_IMPORTS:
        # What a reading of the tracer's takes for a moment is among what was gained: no share can be told.
        return True
    gained = sum(gained for _, gained in python.gained if gained > 0)
    return 2 * _garbage(program) >= gained


def _is_held(program: Program, python: CounterTrend) -> bool:
    """True where containers that the tracer came to from a name took in what came, so that garbage is from before it.

    An item need not be a block of its own: what was garbage must leave enough for a leak all the same.
    """
    gained = {sample.pid: blocks for sample, blocks in python.gained if blocks > 0}
    judged = (1 - WARMUP) * program.iterations
    held = 0.0
    for trace, iterations in _traces_of(program, gained):
        items = sum(holder.growth_per_iteration for holder in trace.holders)
        held += min(gained[trace.pid], items / iterations * judged)
    whole = sum(gained.values())
    return (
        held >= STEADY * whole > 0
        and _garbage(program) <= STEADY * whole
        and beside_garbage(program) >= program.floor
    )


def _garbage(program: Program) -> int:
    return program.recording.end.garbage_blocks


def benign_of(program: Program) -> tuple[Finding, ...]:
    """Returns what grew and is no leak."""
    return (*_came_and_stopped(program), *_mapped_pages(program), *_copies(program))


def _came_and_stopped(program: Program) -> list[Finding]:
    findings = []
    if is_garbage(program):
        findings.append(
            benign(
                "bounded-cache",
                program.counters["python"].trend.growth,
                "garbage in cycles that Python's collector had not come to: it took it as the program ended",
                "program",
                reclaimable=True,
            )
        )
    for name in (*EXACT, "other", "pages", "shmem"):
        counter = program.counters.get(name)
        if counter is None or counter.trend.shape not in _BENIGN_CAUSE or counter.trend.growth < NOTEWORTHY:
            continue
        findings.append(
            benign(
                _BENIGN_CAUSE[counter.trend.shape],
                counter.trend.growth,
                f"{COUNTERS[name].words}: {HOW_IT_FILLED if counter.filled else 'it came and stopped'}",
                "program",
                shape=counter.trend.shape,
                reclaimable=False,
            )
        )
    return findings


def _mapped_pages(program: Program) -> list[Finding]:
    # Before the first row was read, or for the first quarter, programs map their libraries.
    start = next(
        (i for i, snapshot in enumerate(program.snapshots) if snapshot.tree.rows), len(program.snapshots) // 4
    )
    file = [snapshot.tree.file for snapshot in program.snapshots[start:] if snapshot.tree.file is not None]
    if not file or max(file) - file[0] < PAGES_FLOOR:
        return []
    return [
        benign(
            "mmap-file-pages",
            max(file) - file[0],
            "pages of mapped files, shared ones counted once",
            "program",
            reclaimable=True,
        )
    ]


def _copies(program: Program) -> list[Finding]:
    """Pages that forked workers have copied from their parent by writing to them, reference counts included.

    They are private and dirty, and neither new anonymous memory nor anything that an allocator handed out.
    """
    found = []
    last: dict[int, ProcessSample] = {p.pid: p for t in program.snapshots for p in t.processes}
    for pid, sample in last.items():
        first = program.first_of[pid]
        if not first.forked or sample.private_dirty is None or first.private_dirty is None:
            continue
        grown = gain(sample, program.judged.baselines, "anon_swap") or 0.0
        # Pages of a segment that nobody else has touched are private and dirty too.
        shared = max((sample.shmem or 0) - (first.shmem or 0), 0)
        copied = sample.private_dirty - first.private_dirty - max(grown, 0.0) - shared
        if copied >= NOTEWORTHY:
            found.append((copied, sample, max(sample.seconds - first.seconds, 0.1)))
    if not found:
        return []
    found.sort(key=lambda item: -item[0])
    copied, sample, seconds = found[0]
    others = f" and {len(found) - 1} more like it" if len(found) > 1 else ""
    traced = program.recording.traces is not None
    # Whoever looks at an object writes to its reference count.
    ours = ", and --trace, which looks at every object there, copies them too" if traced else ""
    return [
        benign(
            "copy-on-write",
            sum(item[0] for item in found),
            f"{sample.role} (PID {sample.pid}) has copied {format_bytes(copied)} of its parent's pages in "
            f"{format_seconds(seconds)}{others}: bounded by what the parent had{ours}",
            "program",
            reclaimable=False,
        )
    ]
