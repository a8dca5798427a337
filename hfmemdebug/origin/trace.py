"""The second, shorter pass over a leaking program: where its memory comes from and what holds it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from hfmemdebug.origin.conditions import unmet_condition
from hfmemdebug.origin.holders import find_holders
from hfmemdebug.origin.kept import find_keepers
from hfmemdebug.origin.lines import find_native_lines, mapped_bytes
from hfmemdebug.origin.native import arrow_by_malloc, find_native_sites, is_installed
from hfmemdebug.origin.sites import (
    LEAST_SHARE,
    MOST_SLICES,
    find_sites,
    function_at,
    is_library,
    lines_that_fill,
    take_snapshots,
)
from hfmemdebug.recording.end import Trace

LEAST_KEPT_SHARE = 0.2
# A line of Python's that makes this share of a leak needs no other one beside it.
LEAST_TRACED = 0.5
# A leak of which no line is found comes more seldom than the pass is long, perhaps: then it is so many times as long.
LONGER = 4


@dataclass(frozen=True)
class NativeGrowth:
    """What leaks where Python's objects have no part in it.

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
    shown, holders, traced, slices = _look(walk, MOST_SLICES)
    why_not: str | None = None
    followed: str | None = None
    if native is not None and not any(
        s["bytes_per_iteration"] >= LEAST_TRACED * native.bytes_per_slice for s in shown
    ):
        followed = native.counter
        found, why_not = _native_sites(walk, native, slices)
        shown = [*found, *_beside(found, shown, native.bytes_per_slice)]
    if not shown:
        shown = _site_of_buffer(holders)
    if not shown and slices == MOST_SLICES:
        shown, holders, traced, _ = _look(walk, LONGER * MOST_SLICES)
    for holder in holders:
        for name in ("name", "file", "place"):
            del holder[name]
    return Trace(tuple(shown), tuple(holders), round(traced, 1), followed, why_not)


def _look(
    walk: Callable[[], Iterator[None]], most: int
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], float, int]:
    """Sites and holders by so many slices at a time at most, the bytes of all sites, and how many slices it were."""
    snapshots, slices = take_snapshots(walk, most)
    sites, traced = find_sites(snapshots, slices)
    del snapshots
    holders = find_holders(walk, slices)
    # Where nothing is seen to become longer, what grew may lie at places that were there before.
    if sites and (not holders or holders[0]["unit"].startswith("`")):
        keepers = find_keepers(walk, slices, [(site["file"], site["line"]) for site in sites])
        if not holders or any(", bounded to " in keeper["path"] for keeper in keepers):
            holders = keepers
    for holder in holders[:1]:
        file, name, place = (holder[each] for each in ("file", "name", "place"))
        if file and name and place and holder["path"].endswith("`"):
            holder["path"] += unmet_condition(file, name, place, walk) or ""
    return users_lines(sites, holders), holders, traced, slices


def users_lines(sites: list[dict[str, Any]], holders: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Sites, with those in libraries told as the user's line that keeps what was made there, each line once."""
    line = _line_of(holders)
    shown: list[dict[str, Any]] = []
    for site in sites:
        if site["in_library"] and line is not None:
            if site["share"] < LEAST_KEPT_SHARE:
                # What tracing and the libraries lose beside the leak is not that line's.
                continue
            # The library made it because it was asked to; the line that keeps it is the one to look at.
            site.update(file=line[0], line=line[1], function=function_at(*line), in_library=False)
        same = next((s for s in shown if (s["file"], s["line"]) == (site["file"], site["line"])), None)
        if same is None:
            shown.append(site)
            continue
        for name in ("bytes_per_iteration", "count_per_iteration", "share"):
            same[name] = round(same[name] + site[name], 3)
    return shown


def _site_of_buffer(holders: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The line that fills a text or a buffer that grows in place: nothing is allocated for it but by and by."""
    line = _line_of(holders)
    if line is None or holders[0]["unit"] != "byte":
        return []
    return [
        {
            "file": line[0],
            "line": line[1],
            "function": function_at(*line),
            "kind": "python",
            "bytes_per_iteration": holders[0]["growth_per_iteration"],
            "count_per_iteration": None,
            "share": 1.0,
            "in_library": False,
        }
    ]


def _beside(found: list[dict[str, Any]], python: list[dict[str, Any]], rate: float) -> list[dict[str, Any]]:
    """What Python's allocators have given besides: the objects around what a C library keeps stand for it already."""
    lines = {(site["file"], site["line"]) for site in found}
    others = [site for site in python if (site["file"], site["line"]) not in lines]
    for site in others:
        site["share"] = round(min(site["bytes_per_iteration"] / rate, 1.0), 3)
    return [site for site in others if site["share"] >= LEAST_SHARE]


def _native_sites(
    walk: Callable[[], Iterator[None]], native: NativeGrowth, slices: int
) -> tuple[list[dict[str, Any]], str | None]:
    """Sites of a native leak, and why they have no C frames."""
    why_not = None
    framed: list[dict[str, Any]] = []
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
        seen = sum(site["bytes_per_iteration"] for site in framed)
        if seen >= LEAST_TRACED * native.rate:
            return framed, None
    # What memray does not see, the counter does.
    # Anonymous memory shows where it is first written to; the line that asked for it comes before.
    for read in (mapped_bytes, native.read) if native.counter == "other" else (native.read,):
        lines = find_native_lines(walk, read, native.rate, slices)
        if lines:
            return lines, why_not
    return [s for s in framed if s["bytes_per_iteration"] >= LEAST_KEPT_SHARE * native.rate], why_not


def _line_of(holders: list[dict[str, Any]]) -> tuple[str, int] | None:
    """The line of the user's that fills the fastest growing container, where it can be told."""
    for holder in holders:
        if holder["file"] is None or holder["name"] is None or is_library(holder["file"]):
            continue
        lines = lines_that_fill(holder["file"], holder["name"])
        if lines:
            return holder["file"], lines[0]
    return None
