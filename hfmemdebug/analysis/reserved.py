"""Resident memory can get no larger than what was reserved for it.

An array's pages come into being as it is written to for the first time: its mapping is as large as it will be from the
start on, while whatever goes on growing needs new ones, of which allocators may ask for many at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import inf

from hfmemdebug.analysis.counters import EXACT, MB, CounterTrend
from hfmemdebug.analysis.snapshots import Stretch
from hfmemdebug.analysis.trend import Trend

# Where mappings became larger by less than this share of what grew in them, they are not what grew.
RESERVED_SHARE = 0.25
_MAY_HAVE = "it may be first touch of preallocated memory, which has a bound"


def within(counter: CounterTrend, sizes: Sequence[Trend | None], *, asked_for: float = inf) -> CounterTrend:
    """Returns what growth of resident pages is by the size of the mappings that they are in.

    Args:
        counter: Of resident pages.
        sizes: Of the mappings, as it may be told in several ways: where one of them stays, no new ones came.
        asked_for: Bytes that are known to have been asked for before they were written to. Of what was not, an
            allocator whose counters are not read may have much reserved, and fill that with whatever is asked of it.
    """
    trend = counter.trend
    if not may_be_within(trend):
        return counter
    known = asked_for >= (1 - RESERVED_SHARE) * trend.growth
    told = [size for size in sizes if size is not None]
    if known and any(size.shape == "stable" for size in told):
        return replace(counter, trend=replace(trend, shape="plateau", needs=None), filled=True)
    # Allocators take larger and larger parts, of which one may have been enough for all that came.
    if trend.grows and any(not size.may_grow if known else size.shape == "stable" for size in told):
        return replace(counter, trend=replace(trend, shape="inconclusive", needs=_MAY_HAVE))
    return counter


def noise_allowance(growth: float, least: float) -> float:
    """Growth of mappings that is too little to be what grew in them, of which so much counts in any case."""
    return min(RESERVED_SHARE * growth, least)


def is_the_same(growth: float, filled: float) -> bool:
    """True where two counters have grown by the same bytes, as who maps a file and who counts files see them."""
    return abs(growth - filled) <= RESERVED_SHARE * filled


def may_be_within(trend: Trend) -> bool:
    """True where it is asked at all."""
    return trend.may_grow and trend.growth > 0


Values = Sequence[float | None]

_SHARED = {"shmem", "dev_shm", "segments"}


def within_reserved(
    counters: Mapping[str, CounterTrend], judged: Stretch, seen: Stretch
) -> dict[str, CounterTrend]:
    """Returns those of a watched program's counters that have, or may have, filled what was reserved before.

    Args:
        counters: All of them.
        judged: The part of the run that is judged.
        seen: All of it.
    """
    asked = {name: counter for name, counter in counters.items() if may_be_within(counter.trend)}
    if not asked.keys() & {"other", "pages", "shmem", "segments"}:
        return {}
    reserved, mapped = judged.deltas("reserved").total(), judged.deltas("mapped").total()
    segments = judged.of_tree("segments_reserved")
    # Of each counter the sizes of its mappings, as they may be told in several ways.
    sizes: dict[str, tuple[tuple[Values, ...], float]] = {
        "pages": ((reserved,), 0.0),
        "shmem": ((mapped, _less(mapped, reserved)), inf),
        "segments": ((segments,), inf),
    }
    if "other" in asked:
        sizes["other"] = (reserved, _less(reserved, _exact(judged))), _asked_for(seen)
    found: dict[str, CounterTrend] = {}
    for name in asked.keys() & sizes.keys():
        few = noise_allowance(asked[name].trend.growth, MB)
        trends = [judged.trend(size, few, few) for size in sizes[name][0]]
        found[name] = within(asked[name], trends, asked_for=sizes[name][1])
    # The same bytes, by who maps them or by the files that they are in; segments are believed their own sizes.
    filled = max((c.trend.growth for name, c in found.items() if name in _SHARED and c.filled), default=0.0)
    for name in asked.keys() & _SHARED:
        counter = found.get(name, asked[name])
        measured = name == "segments" and any(size is not None for size in segments)
        if may_be_within(counter.trend) and is_the_same(counter.trend.growth, filled) and not measured:
            found[name] = replace(
                counter, trend=replace(counter.trend, shape="plateau", needs=None), filled=True
            )
    return found


def _asked_for(seen: Stretch) -> float:
    """Bytes that allocators had handed out, at most, before these had pages: as much as came to their counters at once.

    What frees pages without giving back their addresses has as few, and was asked for by no counter.
    """
    exact = _exact(seen)
    pages = [value or 0.0 for value in seen.deltas("anon_swap").total()]
    most, high, place = 0.0, float("-inf"), 0
    for i, (page, own) in enumerate(zip(pages, exact, strict=True)):
        if page - own > high:
            high, place = page - own, i
        debt = high - (page - own)
        if debt > most and own - exact[place] >= (1 - RESERVED_SHARE) * debt:
            most = debt
    return most


def _exact(stretch: Stretch) -> list[float]:
    """Returns what the exact counters have in use at each sample, all together."""
    counted = [stretch.deltas(name).total() for name in EXACT]
    return [sum(value or 0.0 for value in values) for values in zip(*counted, strict=True)]


def _less(values: Values, others: Values) -> list[float | None]:
    return [None if a is None or b is None else a - b for a, b in zip(values, others, strict=True)]
