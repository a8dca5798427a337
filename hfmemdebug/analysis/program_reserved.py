"""Owners of a watched program's memory that can get no larger than what was reserved for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import inf

from hfmemdebug.analysis.gains import Bases, read_gains, read_owned
from hfmemdebug.analysis.growth import find_growth
from hfmemdebug.analysis.owner import EXACT, FLOOR_OVER_RUN, Owner, points
from hfmemdebug.analysis.reserved import RESERVED_SHARE, few_beside, is_the_same, may_be_within, within
from hfmemdebug.analysis.ticks import Tick

Values = Sequence[float | None]

_SHARED = {"shmem", "dev_shm", "segments"}


def within_reserved(
    owners: Mapping[str, Owner],
    seen: Sequence[Tick],
    ticks: Sequence[Tick],
    work: Sequence[float],
    bases: Bases,
    weight: float,
) -> dict[str, Owner]:
    """Those of the owners that have, or may have, filled what was reserved before.

    Args:
        owners: All of them.
        seen: All looks.
        ticks: The looks that are judged.
        work: Work done until each of those.
        bases: What forks have inherited.
        weight: Bytes of one of CPython's blocks.
    """
    asked = {name: owner for name, owner in owners.items() if may_be_within(owner.growth)}
    found: dict[str, Owner] = {}
    if not asked.keys() & {"other", "pages", "shmem", "segments"}:
        return found
    reserved, mapped = (read_gains(ticks, bases, of).total() for of in ("reserved", "mapped"))
    if "other" in asked:
        sizes = (reserved, _less(reserved, _exact(ticks, bases, weight)))
        found["other"] = _within(asked["other"], work, sizes, _asked_for(seen, bases, weight))
    if "pages" in asked:
        found["pages"] = _within(asked["pages"], work, (reserved,), 0.0)
    if "shmem" in asked:
        found["shmem"] = _within(asked["shmem"], work, (mapped, _less(mapped, reserved)), inf)
    whole = [
        None if tick.tree.segments_reserved is None else float(tick.tree.segments_reserved) for tick in ticks
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


def _within(owner: Owner, work: Sequence[float], sizes: Sequence[Values], asked_for: float) -> Owner:
    """An owner of resident memory by the size of the mappings that it may have grown in, as `within` takes them."""
    few = few_beside(owner.growth.growth, FLOOR_OVER_RUN)
    trends = [find_growth(points(work, size), few, tolerance=few) for size in sizes]
    found = within(owner.growth, trends, asked_for=asked_for)
    return owner if found is None else replace(owner, growth=found, filled=not may_be_within(found))


def _asked_for(ticks: Sequence[Tick], bases: Bases, weight: float) -> float:
    """Bytes that allocators had handed out, at most, before these had pages: as much as came to their counters at once.

    What frees pages without giving back their addresses has as few, but asked nobody for them.
    """
    exact = _exact(ticks, bases, weight)
    pages = [value or 0.0 for value in read_gains(ticks, bases, "anon_swap").total()]
    most, high, place = 0.0, float("-inf"), 0
    for i, (page, own) in enumerate(zip(pages, exact, strict=True)):
        if page - own > high:
            high, place = page - own, i
        debt = high - (page - own)
        if debt > most and own - exact[place] >= (1 - RESERVED_SHARE) * debt:
            most = debt
    return most


def _exact(ticks: Sequence[Tick], bases: Bases, weight: float) -> list[float]:
    """What the exact counters have in use at each look, all together."""
    counted = [read_owned(ticks, bases, name, weight).total() for name in EXACT]
    return [sum(value or 0.0 for value in values) for values in zip(*counted, strict=True)]


def _less(values: Values, others: Values) -> list[float | None]:
    return [None if a is None or b is None else a - b for a, b in zip(values, others, strict=True)]
