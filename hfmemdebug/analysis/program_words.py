"""A watched program's verdict in a sentence, and what to do next."""

from __future__ import annotations

from collections.abc import Sequence

from hfmemdebug.analysis.advice import OF_LEAK
from hfmemdebug.analysis.program import Program
from hfmemdebug.result import Finding
from hfmemdebug.units import format_bytes, format_seconds

# Objects, and the buffers of arrays, tables and tensors that objects own.
_TRACEABLE = ("python-objects", "native-heap", "arrow-pool", "shared-memory", "file-mapping")


def summary(
    program: Program,
    verdict: str,
    leaks: Sequence[Finding],
    benign: Sequence[Finding],
    question: str | None,
    died: str | None,
    *,
    attached: bool,
) -> str:
    """One sentence, two at most."""
    watched = f"{format_seconds(program.seconds)}" + (f" and {program.rows:,} rows" if program.rows else "")
    ending = f" It did not end well: {died}." if died else ""
    if leaks:
        rate = sum(leak.rate_bytes_per_iteration or 0.0 for leak in leaks)
        where = f" ({leaks[0].detail})" if leaks[0].detail else ""
        if attached:
            return (
                f"Sustained growth: {format_bytes(rate)} per {program.iteration}{where} over {watched}, which nothing "
                "can take back. Whether it is a leak, `hfmemdebug run` tells from a program's start."
            )
        return f"Leak: {format_bytes(rate)} per {program.iteration} stay behind{where}, all through {watched}.{ending}"
    if verdict == "inconclusive":
        return (
            f"Inconclusive: {died}, and nothing was decided until then."
            if died
            else f"Inconclusive: {question}."
        )
    pages = next((f for f in benign if f.cause == "mmap-file-pages"), None)
    if pages is not None and pages.growth_bytes == max(f.growth_bytes for f in benign):
        return (
            f"No leak: {format_bytes(pages.growth_bytes)} are pages of mapped files, which the kernel takes back when "
            f"memory is short; what it cannot take back did not go on growing over {watched}."
        )
    copies = next((f for f in benign if f.cause == "copy-on-write"), None)
    if copies is not None:
        return (
            f"No leak: {copies.detail}. What else cannot be taken back did not go on growing over {watched}."
        )
    return f"No leak: what cannot be taken back did not go on growing over {watched}."


def advice(
    program: Program,
    verdict: str,
    leaks: Sequence[Finding],
    benign: Sequence[Finding],
    *,
    attached: bool,
    question: str | None,
    died: bool,
) -> tuple[str, ...]:
    """What to do next, one line each."""
    lines = []
    if leaks and not attached:
        lines += _where_to_look(program, leaks)
    elif died:
        lines.append("Mend what ended it, and run it again: what it did until then is in the recording.")
    elif verdict == "inconclusive" and not leaks:
        lines.append(f"To decide: {question}.")
    if verdict == "inconclusive" and not leaks:
        lines += _grown_while_traced(program)
    if any(finding.cause == "copy-on-write" for finding in benign):
        lines.append(
            "Workers copy what they inherit as they touch it: keep data in numpy arrays, Arrow or a memory-mapped "
            "dataset instead of lists of objects, or start workers by forkserver."
        )
    return tuple(lines)


def _where_to_look(program: Program, leaks: Sequence[Finding]) -> list[str]:
    """How to get to the line: tracing names those that go through Python's allocators."""
    cause = leaks[0].cause
    if cause == "anonymous-other" and _has_no_sampler(program):
        return [
            "Nothing was read inside of the process that grows. One of CPython 3.8 or newer, with the program's own "
            "environment and without -I, -E and -S, tells what keeps the memory, and with --trace the line."
        ]
    known = cause == "shared-memory" and program.recording.end.shm_lines
    if not program.exact or known or cause not in _TRACEABLE:
        return list(OF_LEAK.get(cause, ()))
    traces = program.recording.traces
    if traces is None:
        return [
            "To find the line and what holds it: hfmemdebug run --trace, with the same program behind it."
        ]
    if not any(trace.sites or trace.holders for trace in traces):
        return ["Tracing has seen no line that keeps it: a longer run shows more, or a C library has it."]
    return []


def _has_no_sampler(program: Program) -> bool:
    """Whether it is a process that is seen from outside alone which has gained most of what no counter owns."""
    counter = program.counters.get("other") or program.counters.get("pages")
    return not program.exact or bool(counter and counter.gained and counter.gained[0][0].blocks is None)


def _grown_while_traced(program: Program) -> list[str]:
    """What stayed while allocations were traced, for somebody who wants to look before it is decided."""
    for trace in program.recording.traces or ():
        sites, seconds = trace.sites, trace.to - trace.from_
        # At this pace it would have come to less than is called a leak.
        if (
            not sites
            or seconds <= 0
            or sites[0].bytes_per_iteration * program.seconds < program.floor * seconds
        ):
            continue
        site = sites[0]
        where = f" in {site.function}" if site.function else ""
        held = f", held by {trace.holders[0].path}" if trace.holders else ""
        return [
            "Not called a leak, but to be looked at: of what grew while allocations were traced, "
            f"{site.share or 0:.0%} ({format_bytes(site.bytes_per_iteration)} in {format_seconds(seconds)}) came from "
            f"{site.file}:{site.line}{where}{held}."
        ]
    return []
