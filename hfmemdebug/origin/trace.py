"""Finds where the memory of a leaking arm comes from and what holds it, in a second, shorter pass over the slices.

Python's allocations come first, since they need no more than tracemalloc; where they do not make the leak, memray is
asked for the C functions, and where that sees nothing, a counter is read between the user's lines. `run --trace` does
the first of these inside of a program that it watches (`origin.trace_program`), by the same sites and holders.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..decode import decode
from ..leak import Holder, Site
from ..recording.end import ProcessTrace, Trace
from .conditions import unreached_eviction
from .holders import find_holders
from .native import arrow_by_malloc, find_native_sites, is_installed
from .native_lines import find_native_lines, mapped_bytes
from .referrers import find_referrers
from .sites import (
    LEAST_KEPT_SHARE,
    LEAST_SHARE,
    MOST_SLICES,
    InUse,
    attribute_to_user_code,
    make_site,
    sites_of,
    storing_line,
    trace_sites,
)

# A line of Python's that makes this share of a leak needs no other one beside it.
LEAST_TRACED = 0.5
# A leak of which no line is found comes more seldom than the pass is long, perhaps: then it is so many times as long.
LONGER = 4
# Workers that are made anew each leave a trace.
MOST_TRACES = 16


@dataclass(frozen=True)
class NativeGrowth:
    """A counter that grows where Python's objects have no part in it.

    Attributes:
        counter: The name of the counter: ``malloc``, ``arrow``, ``other``, ``fds``, …
        read: Reads it, in bytes, or how many things there are.
        rate: By how much it grows per slice.
        memray: Whether memray may be used: it takes memory of its own, which a limit might not leave.
        bytes_each: Of things, what each of them holds; None for a counter of bytes.
    """

    counter: str
    read: Callable[[], int | None]
    rate: float
    memray: bool = True
    bytes_each: int | None = None

    @property
    def bytes_per_slice(self) -> float:
        """By how much it grows per slice, in bytes."""
        return self.rate * (self.bytes_each or 1)


def trace(walk: Callable[[], Iterator[None]], native: NativeGrowth | None = None) -> Trace:
    """Finds the sites and the holders of a leak.

    Args:
        walk: Reads slices from the first one on and hands each to the consumer, as it is iterated over.
        native: The native counter that leaks, or None.
    """
    sites, holders, traced, slices = _python_sites(walk, MOST_SLICES)
    why_not: str | None = None
    followed: str | None = None
    if native is not None and not any(
        site.bytes_per_iteration >= LEAST_TRACED * native.bytes_per_slice for site in sites
    ):
        followed = native.counter
        found, why_not = _native_sites(walk, native, slices)
        sites = [*found, *_beside(found, sites, native.bytes_per_slice)]
    if not sites:
        sites = _site_of_buffer(holders)
    if not sites and slices == MOST_SLICES:
        sites, holders, traced, _ = _python_sites(walk, LONGER * MOST_SLICES)
    return Trace(tuple(sites), tuple(holders), round(traced, 1), followed, why_not)


def _python_sites(
    walk: Callable[[], Iterator[None]], most: int
) -> tuple[list[Site], list[Holder], float, int]:
    """Traces so many slices at a time at most.

    Returns:
        Sites and holders, the bytes per slice of all sites, and how many slices it were.
    """
    sites, traced, slices = trace_sites(walk, most)
    holders = find_holders(walk, slices)
    # Where nothing is seen to become longer, what grew may lie at places that were there before.
    if sites and (not holders or holders[0].kind in ("chain", "exceptions", "objects")):
        found = find_referrers(walk, slices, [(site.file, site.line) for site in sites])
        if not holders or any(h.bound is not None and h.bound.argument is None for h in found):
            holders = found
    first = holders[0] if holders else None
    if first is not None and first.at is not None and first.bound is None and first.at.type != "lru_cache":
        holders[0] = dataclasses.replace(first, unreached=unreached_eviction(first.at, walk))
    return attribute_to_user_code(sites, holders), holders, traced, slices


def _site_of_buffer(holders: Sequence[Holder]) -> list[Site]:
    """Returns the line that fills a text or a buffer that grows in place: nothing is allocated for it but by and by."""
    place = storing_line(holders)
    if place is None or holders[0].unit != "byte":
        return []
    return [make_site(place, holders[0].growth_per_iteration, None, 1.0)]


def _beside(found: Sequence[Site], python: Sequence[Site], rate: float) -> list[Site]:
    """Returns what Python's allocators gave besides: objects around what a C library keeps stand for it already."""
    lines = {site.place for site in found}
    others = [site.rounded(rate) for site in python if site.place not in lines]
    return [site for site in others if (site.share or 0.0) >= LEAST_SHARE]


def _native_sites(
    walk: Callable[[], Iterator[None]], native: NativeGrowth, slices: int
) -> tuple[list[Site], str | None]:
    """Finds the sites of a native leak, and why they have no C frames."""
    why_not = None
    framed: list[Site] = []
    if native.bytes_each is not None:
        # Nothing is allocated for them, or it is not what piles up.
        return find_native_lines(walk, native.read, native.rate, slices, bytes_each=native.bytes_each), None
    if not is_installed():
        why_not = "not installed"
    elif native.memray:
        try:
            with arrow_by_malloc() if native.counter == "arrow" else nullcontext():
                framed = find_native_sites(walk, slices)
        except (ImportError, OSError, RuntimeError, ValueError) as error:
            why_not = f"{type(error).__name__}: {error}"
        if sum(site.bytes_per_iteration for site in framed) >= LEAST_TRACED * native.rate:
            return framed, None
    # What memray does not see, the counter does.
    # Anonymous memory shows where it is first written to; the line that asked for it comes before.
    for read in (mapped_bytes, native.read) if native.counter == "other" else (native.read,):
        lines = find_native_lines(walk, read, native.rate, slices)
        if lines:
            return lines, why_not
    return [site for site in framed if site.bytes_per_iteration >= LEAST_KEPT_SHARE * native.rate], why_not


def read_traces(folder: Path, began: float) -> list[ProcessTrace]:
    """Reads what the tracers in a program's processes have written, those with the most bytes.

    Args:
        folder: Where they have written.
        began: When the watching began, on the clock that all processes share (`time.perf_counter`).
    """
    found: list[dict[str, Any]] = []
    for file in folder.glob("*.trace"):
        try:
            found.append(json.loads(file.read_text()))
        except (OSError, ValueError):
            continue
    found.sort(key=lambda trace: -trace["traced_bytes"])
    return [_process_trace(trace, began) for trace in found[:MOST_TRACES]]


def _process_trace(trace: dict[str, Any], began: float) -> ProcessTrace:
    ranked = [(tuple(place), InUse(size, count, library)) for place, size, count, library in trace["sites"]]
    holders = tuple(decode(Holder, holder) for holder in trace["holders"])
    sites = attribute_to_user_code(sites_of(ranked, trace["traced_bytes"], len(ranked)), holders)
    return ProcessTrace(
        pid=trace["pid"],
        began=round(trace["began"] - began, 3),
        from_=round(trace["from"] - began, 3),
        to=round(trace["to"] - began, 3),
        blocks=trace["blocks"],
        block_bytes=trace["block_bytes"],
        sites=tuple(sites),
        holders=holders,
    )
