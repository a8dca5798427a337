"""The lines that made what a watched program leaks, and what holds it: from the traces of the processes that leak."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hfmemdebug.analysis.counters import EXACT, CounterTrend
from hfmemdebug.analysis.program import Program

MOST_SITES = 5
MOST_HOLDERS = 3
# What a process has gained beside one that has gained ten times as much is what any process gathers.
LEAST_OF_THE_MOST = 0.1


def find_origin(
    program: Program, guilty: Sequence[CounterTrend]
) -> tuple[tuple[dict[str, Any], ...], tuple[dict[str, Any], ...]]:
    """Sites and holders as the result document has them, the largest first.

    Lines that make segments of shared memory are always known; the others where the program was traced.
    """
    traces = program.recording.traces or ()
    exact = [counter.name for counter in guilty if counter.name in EXACT]
    pids = {
        sample.pid
        for counter in guilty
        for sample, gained in counter.gained
        if gained > 0 and gained >= LEAST_OF_THE_MOST * counter.gained[0][1]
    }
    # Of descriptors and child processes only the sum is known.
    anybody = any(not counter.gained for counter in guilty)
    sites: dict[tuple[str, int], dict[str, Any]] = {}
    holders: dict[str, dict[str, Any]] = {}
    for trace in traces:
        iterations = program.iterations_between(trace.from_, trace.to)
        if not (anybody or trace.pid in pids) or not iterations:
            continue
        for site in trace.sites if exact else ():
            # What C libraries ask malloc for has no line in Python, and what a library keeps beside it is none.
            if site["in_library"] and "python" not in exact:
                continue
            known = sites.setdefault(
                (site["file"], site["line"]), {**site, "bytes_per_iteration": 0.0, "count_per_iteration": 0.0}
            )
            known["bytes_per_iteration"] += site["bytes_per_iteration"] / iterations
            known["count_per_iteration"] += site["count_per_iteration"] / iterations
        for holder in trace.holders:
            held = holders.setdefault(holder["path"], {**holder, "growth_per_iteration": 0.0})
            held["growth_per_iteration"] += holder["growth_per_iteration"] / iterations
    if any(counter.name == "segments" for counter in guilty):
        sites.update(_of_segments(program))
    total = sum(site["bytes_per_iteration"] for site in sites.values())
    ranked = sorted(sites.values(), key=lambda site: -site["bytes_per_iteration"])
    return (
        tuple(
            _rounded({**site, "share": site["bytes_per_iteration"] / total}) for site in ranked[:MOST_SITES]
        ),
        tuple(
            {**holder, "growth_per_iteration": round(holder["growth_per_iteration"], 2)}
            for holder in sorted(holders.values(), key=lambda h: -h["growth_per_iteration"])[:MOST_HOLDERS]
        ),
    )


def _of_segments(program: Program) -> dict[tuple[str, int], dict[str, Any]]:
    """The lines that made the segments which were there when there were most."""
    return {
        (line.file, line.line): {
            "file": line.file,
            "line": line.line,
            "function": line.function,
            "kind": "native",
            "bytes_per_iteration": line.bytes / program.iterations,
            "count_per_iteration": line.count / program.iterations,
        }
        for line in program.recording.end.shm_lines
        if program.iterations
    }


def _rounded(site: dict[str, Any]) -> dict[str, Any]:
    return {
        **{name: value for name, value in site.items() if name != "in_library"},
        "bytes_per_iteration": round(site["bytes_per_iteration"], 1),
        "count_per_iteration": round(site["count_per_iteration"], 2),
        "share": round(site["share"], 3),
    }
