"""Resident memory can get no larger than what was reserved for it.

An array's pages come into being as it is written to for the first time: its mapping is as large as it will be from the
start on, while whatever goes on growing needs new ones, of which allocators may ask for many at a time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import inf

from hfmemdebug.analysis.counters import EXACT, FLOOR_OVER_RUN, CounterTrend, points
from hfmemdebug.analysis.growth import find_growth
from hfmemdebug.analysis.snapshots import Baselines, TreeSnapshot, read_deltas, read_owned_deltas
from hfmemdebug.analysis.trend import Trend

# Where mappings became larger by less than this share of what grew in them, they are not what grew.
RESERVED_SHARE = 0.25
# ... and a leak beside an array that is filled may be a small one.
BESIDE_SHARE = 1 / 16
SETTLED = ("stable", "step", "plateau")
_MAY_HAVE = "it may be first touch of preallocated memory, which has a bound"


def within(trend: Trend, sizes: Sequence[Trend | None], *, asked_for: float = math.inf) -> Trend | None:
    """What growth of resident pages is by the size of the mappings that they are in; None where that says nothing.

    Args:
        trend: Of the resident pages.
        sizes: Of the mappings, as it may be told in several ways: where one of them stays, no new ones came.
        asked_for: Bytes that are known to have been asked for before they were written to. Of what was not, an
            allocator whose counters are not read may have much reserved, and fill that with whatever is asked of it.
    """
    if not may_be_within(trend):
        return None
    known = asked_for >= (1 - RESERVED_SHARE) * trend.growth
    shapes = {size.shape for size in sizes if size is not None}
    if "stable" in shapes and known:
        return replace(trend, shape="plateau", needs=None)
    # Allocators take larger and larger parts, of which one may have been enough for all that came.
    may_have = set(SETTLED) if known else {"stable"}
    if trend.grows and shapes & may_have:
        return replace(trend, shape="inconclusive", needs=_MAY_HAVE)
    return None


def noise_allowance(growth: float, least: float) -> float:
    """Growth of mappings that is too little to be what grew in them, of which so much counts in any case."""
    return min(RESERVED_SHARE * growth, least)


def is_the_same(growth: float, filled: float) -> bool:
    """Whether two counters have grown by the same bytes, as who maps a file and who counts files see them."""
    return abs(growth - filled) <= RESERVED_SHARE * filled


def may_be_within(trend: Trend) -> bool:
    """Whether it is asked at all."""
    return trend.shape in ("growing", "inconclusive") and trend.growth > 0


Values = Sequence[float | None]

_SHARED = {"shmem", "dev_shm", "segments"}


def within_reserved(
    owners: Mapping[str, CounterTrend],
    seen: Sequence[TreeSnapshot],
    snapshots: Sequence[TreeSnapshot],
    work: Sequence[float],
    baselines: Baselines,
    weight: float,
) -> dict[str, CounterTrend]:
    """Those of the owners that have, or may have, filled what was reserved before.

    Args:
        owners: All of them.
        seen: All samples.
        snapshots: The samples that are judged.
        work: Work done until each of those.
        baselines: What forks have inherited.
        weight: Bytes of one of CPython's blocks.
    """
    asked = {name: owner for name, owner in owners.items() if may_be_within(owner.growth)}
    found: dict[str, CounterTrend] = {}
    if not asked.keys() & {"other", "pages", "shmem", "segments"}:
        return found
    reserved, mapped = (read_deltas(snapshots, baselines, of).total() for of in ("reserved", "mapped"))
    if "other" in asked:
        sizes = (reserved, _less(reserved, _exact(snapshots, baselines, weight)))
        found["other"] = _within(asked["other"], work, sizes, _asked_for(seen, baselines, weight))
    if "pages" in asked:
        found["pages"] = _within(asked["pages"], work, (reserved,), 0.0)
    if "shmem" in asked:
        found["shmem"] = _within(asked["shmem"], work, (mapped, _less(mapped, reserved)), inf)
    whole = [
        None if snapshot.tree.segments_reserved is None else float(snapshot.tree.segments_reserved)
        for snapshot in snapshots
    ]
    if "segments" in asked:
        found["segments"] = _within(asked["segments"], work, (whole,), inf)
    # The same bytes, by who maps them or by the files that they are in; segments are believed their own sizes.
    filled = max(
        (found[name].growth.growth for name in found if name in _SHARED and found[name].filled), default=0.0
    )
    for name in asked.keys() & _SHARED:
        owner = found.get(name, asked[name])
        measured = name == "segments" and any(size is not None for size in whole)
        if may_be_within(owner.growth) and is_the_same(owner.growth.growth, filled) and not measured:
            found[name] = replace(
                owner, growth=replace(owner.growth, shape="plateau", needs=None), filled=True
            )
    return found


def _within(
    owner: CounterTrend, work: Sequence[float], sizes: Sequence[Values], asked_for: float
) -> CounterTrend:
    """An owner of resident memory by the size of the mappings that it may have grown in, as `within` takes them."""
    few = noise_allowance(owner.growth.growth, FLOOR_OVER_RUN)
    trends = [find_growth(points(work, size), few, tolerance=few) for size in sizes]
    found = within(owner.growth, trends, asked_for=asked_for)
    return owner if found is None else replace(owner, growth=found, filled=not may_be_within(found))


def _asked_for(snapshots: Sequence[TreeSnapshot], baselines: Baselines, weight: float) -> float:
    """Bytes that allocators had handed out, at most, before these had pages: as much as came to their counters at once.

    What frees pages without giving back their addresses has as few, but asked nobody for them.
    """
    exact = _exact(snapshots, baselines, weight)
    pages = [value or 0.0 for value in read_deltas(snapshots, baselines, "anon_swap").total()]
    most, high, place = 0.0, float("-inf"), 0
    for i, (page, own) in enumerate(zip(pages, exact, strict=True)):
        if page - own > high:
            high, place = page - own, i
        debt = high - (page - own)
        if debt > most and own - exact[place] >= (1 - RESERVED_SHARE) * debt:
            most = debt
    return most


def _exact(snapshots: Sequence[TreeSnapshot], baselines: Baselines, weight: float) -> list[float]:
    """What the exact counters have in use at each sample, all together."""
    counted = [read_owned_deltas(snapshots, baselines, name, weight).total() for name in EXACT]
    return [sum(value or 0.0 for value in values) for values in zip(*counted, strict=True)]


def _less(values: Values, others: Values) -> list[float | None]:
    return [None if a is None or b is None else a - b for a, b in zip(values, others, strict=True)]
