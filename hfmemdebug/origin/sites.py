"""Finds allocation sites: which line asked for the memory that stays, by `tracemalloc`.

A traceback has one place: its innermost frame that is the user's, else its innermost frame. Of each place the bytes
and blocks in use are compared between moments. A leak grows in every part of a pass; what warms up, and what is being
worked on, grows in one of them: a place counts by the part in which it grew least.

Tracing makes Python several times slower, so that it runs in a pass of its own, after a leak was found. It sees what
goes through Python's allocators (objects, numpy's arrays), not what C libraries ask malloc for: `native` and
`native_lines` find those lines.

`run --trace` takes this module into the program that it watches: CPython 3.8 and the standard library are all it has.
"""

from __future__ import annotations

import dataclasses
import gc
import itertools
import time
import tracemalloc
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from ..inject import _hfmemdebug_common as common
from ..leak import Holder, Site, merge_sites
from .source import function_at, lines_that_fill

# Deep enough to get from a library's inner function to the user's call of it; each costs time.
FRAMES = 24
MOST_SITES = 5
MOST_SLICES = 40
FEWEST_SLICES = 4
# Seconds for each part of the pass, if the fewest slices do not take longer.
PART_SECONDS = 1.5
# What a leak's line asks for stays in each of so many parts of the pass.
PARTS = 2
# A site that stands for less than this share of the growth is not shown.
LEAST_SHARE = 0.02
# A site in a library is told as the user's line that keeps what was made there, where it is so much of the leak: what
# tracing and the libraries lose beside it is not that line's.
LEAST_KEPT_SHARE = 0.2
# What grows at one pace grows in each part at least by this share of what it does in the one where it grows most.
STEADY = 0.5

is_library = lru_cache(maxsize=4096)(common.is_library)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Place = tuple[str, int]


@dataclass
class InUse:
    """Memory that a place has in use, or how much more: bytes and blocks, in all or for one iteration."""

    size: float = 0
    count: float = 0
    in_library: bool = False

    def since(self, before: InUse | None) -> InUse:
        """Returns how much more it is than before, or than nothing."""
        if before is None:
            return self
        return InUse(self.size - before.size, self.count - before.count, self.in_library)

    def per(self, length: float) -> InUse:
        """Returns the same for one of so many iterations, rows or seconds."""
        return InUse(self.size / length, self.count / length, self.in_library)


def group_traces(traces: Iterable[Any]) -> list[list[Any]]:
    """Adds up bytes and blocks by traceback.

    Args:
        traces: As a snapshot has them: domain, bytes, frames (the innermost first), and from CPython 3.9 on how many
            frames there were.

    Returns:
        Of each traceback bytes, blocks, frames, and how many there were (0 where that is not known).
    """
    # Equal tracebacks are one tuple: what is grouped by identity takes a tenth of what `statistics` takes. And floats
    # come from a list of free ones: each new integer would be traced.
    groups: dict[int, list[Any]] = {}
    for trace in traces:
        group = groups.get(id(trace[2]))
        if group is None:
            groups[id(trace[2])] = [float(trace[1]), 1.0, trace[2], trace[3] if len(trace) > 3 else 0]
        else:
            group[0] += trace[1]
            group[1] += 1.0
    return list(groups.values())


def in_use_by_place(
    groups: Iterable[tuple[float, float, Sequence[Place]]], hidden: Collection[str] = ()
) -> dict[Place, InUse]:
    """Adds up bytes and blocks by place.

    Args:
        groups: Of each traceback bytes, blocks and frames.
        hidden: What has a frame of these files is left out.
    """
    found: dict[Place, InUse] = {}
    for size, count, frames in groups:
        if hidden and any(frame[0] in hidden for frame in frames):
            continue
        place, in_library = place_of(frames)
        if place is not None:
            known = found.setdefault(place, InUse(in_library=in_library))
            known.size += size
            known.count += count
    return found


def place_of(frames: Iterable[Place]) -> tuple[Place | None, bool]:
    """Returns the innermost frame that is the user's, else the innermost one, and whether that is a library's.

    Args:
        frames: File and line, the innermost first. None is returned where that is our own.
    """
    innermost: Place | None = None
    for file, line in frames:
        if file.startswith(common.PACKAGE):
            # Below our loop nothing is the user's, and what we allocate ourselves is no leak. CPython 3.10 has a
            # frame for what a dataclass of ours generates.
            return (None, True) if innermost is not None and innermost[0] == "<string>" else (innermost, True)
        if innermost is None:
            innermost = (file, line)
        if not is_library(file):
            return (file, line), False
    return innermost, True


def rank(
    parts: Sequence[Mapping[Place, InUse]], lengths: Sequence[float], *, larger_by: float | None = None
) -> list[tuple[Place, InUse]]:
    """Returns the places that grew in each part of a pass, by the part in which they grew least, the largest first.

    Args:
        parts: Growth by place.
        lengths: How long each part was: in iterations, rows or seconds. What is returned is for one of them.
        larger_by: Places of the user's that have no more blocks than before count too, where those have become larger
            by so many bytes in each part: a text or a buffer that grows. None: they do not.
    """
    found: list[tuple[Place, InUse]] = []
    for place in set(parts[0]).intersection(*parts[1:]):
        grown = [part[place] for part in parts]
        paces = [each.per(length) for each, length in zip(grown, lengths)]  # noqa: B905 (`strict` came with 3.10)
        least = InUse(
            min(pace.size for pace in paces), min(pace.count for pace in paces), grown[0].in_library
        )
        is_buffer = (
            larger_by is not None
            and not least.in_library
            and least.count >= 0
            and all(each.size >= larger_by for each in grown)
            # What is made anew each time is now larger, now smaller.
            and least.size >= STEADY * max(pace.size for pace in paces)
        )
        if least.size > 0 and (least.count > 0 or is_buffer):
            found.append((place, least))
    return sorted(found, key=lambda item: -item[1].size)


def make_site(
    place: Place,
    size: float,
    count: float | None,
    share: float,
    *,
    kind: str = "python",
    in_library: bool = False,
    native_frames: Sequence[str] = (),
) -> Site:
    """Makes a site of a place; the arguments are those of `Site`, and are rounded for it."""
    function = function_at(*place)
    return Site(*place, function, kind, size, count, share, in_library, tuple(native_frames)).rounded()


def sites_of(ranked: Sequence[tuple[Place, InUse]], total: float, most: int = MOST_SITES) -> list[Site]:
    """Makes sites of the largest places that are a share of the whole.

    Args:
        ranked: Places by how much they have grown, the largest first.
        total: Bytes of all places.
        most: How many sites at most.
    """
    return [
        make_site(place, grown.size, grown.count, grown.size / total, in_library=grown.in_library)
        for place, grown in ranked[:most]
        if grown.size >= LEAST_SHARE * total
    ]


def attribute_to_user_code(sites: Iterable[Site], holders: Sequence[Holder]) -> list[Site]:
    """Tells sites in libraries as the user's line that keeps what was made there; each line comes once.

    The library made it because it was asked to; the line that keeps it is the one to look at.
    """
    place = storing_line(holders)
    shown = []
    for site in sites:
        if not site.in_library or place is None:
            shown.append(site)
        elif (site.share or 0.0) >= LEAST_KEPT_SHARE:
            file, line = place
            shown.append(
                dataclasses.replace(
                    site, file=file, line=line, function=function_at(*place), in_library=False
                )
            )
    return [site.rounded() for site in merge_sites(shown)]


def storing_line(holders: Sequence[Holder]) -> Place | None:
    """Returns the line of the user's that fills the container which grows fastest, where it can be told."""
    for holder in holders:
        at = holder.at
        if at is not None and at.file is not None and at.name is not None and not is_library(at.file):
            lines = lines_that_fill(at.file, at.name)
            if lines:
                return at.file, lines[0]
    return None


def warm_up(walk: Callable[[], Iterator[None]], most: int) -> int:
    """Reads slices as long as a part of the pass may take: code may be fifty times slower now, and only trying tells.

    Returns:
        How many slices a part can have.
    """
    began, slices = time.monotonic(), 0
    for slices, _ in enumerate(itertools.islice(walk(), most), start=1):
        if slices >= FEWEST_SLICES and time.monotonic() - began > PART_SECONDS:
            break
    return slices


def trace_sites(walk: Callable[[], Iterator[None]], most: int = MOST_SLICES) -> tuple[list[Site], float, int]:
    """Traces Python's allocations over a few slices.

    Args:
        walk: Reads slices from the first one on, as it is iterated over.
        most: Slices in a part of the pass at most. As many are read first, for what warms up under tracing.

    Returns:
        Sites, the largest first; the growth of all places in bytes per slice; and how many slices a part had.
    """
    tracemalloc.start(FRAMES)
    try:
        slices = warm_up(walk, most)
        in_use = [_in_use()]
        for _ in range(PARTS):
            deque(itertools.islice(walk(), slices), maxlen=0)
            in_use.append(_in_use())
    finally:
        tracemalloc.stop()
    parts = [
        {place: now.since(before.get(place)) for place, now in after.items()}
        for before, after in zip(in_use, in_use[1:])  # noqa: B905, RUF007 (both came with 3.10)
    ]
    ranked = rank(parts, [slices] * PARTS)
    total = sum(grown.size for _, grown in ranked)
    return sites_of(ranked, total), total, slices


def _in_use() -> dict[Place, InUse]:
    # Cycles that wait for the collector are no leak, unless the program has turned that off.
    if common.collector_runs():
        gc.collect()
    traces = tracemalloc.take_snapshot().traces._traces  # type: ignore[attr-defined]
    return in_use_by_place((group[:3] for group in group_traces(traces)), hidden=(tracemalloc.__file__,))  # type: ignore[misc]
