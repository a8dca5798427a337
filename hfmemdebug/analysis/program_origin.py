"""The lines that made what a watched program leaks, and what holds it: from the traces of the processes that leak."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hfmemdebug.analysis.counters import EXACT, CounterTrend
from hfmemdebug.analysis.program import Program
from hfmemdebug.leak import Holder, Site, merge_sites

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
