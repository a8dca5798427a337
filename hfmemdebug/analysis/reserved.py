"""Resident memory can get no larger than what was reserved for it.

An array's pages come into being as it is written to for the first time: its mapping is as large as it will be from the
start on, while whatever goes on growing needs new ones, of which allocators may ask for many at a time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from hfmemdebug.analysis.trend import Trend

# Where mappings became larger by less than this share of what grew in them, they are not what grew.
RESERVED_SHARE = 0.25
# ... and a leak beside an array that is filled may be a small one.
BESIDE_SHARE = 1 / 16
SETTLED = ("stable", "step", "plateau")
_MAY_HAVE = "it may have filled memory that it had asked for before, which has a bound"


def within(
    trend: Trend, sizes: Sequence[Trend | None], *, asked_for: float = math.inf, decides: str = ""
) -> Trend | None:
    """What growth of resident pages is by the size of the mappings that they are in; None where that says nothing.

    Args:
        trend: Of the resident pages.
        sizes: Of the mappings, as it may be told in several ways: where one of them stays, no new ones came.
        asked_for: Bytes that are known to have been asked for before they were written to. Of what was not, an
            allocator whose counters are not read may have much reserved, and fill that with whatever is asked of it.
        decides: What would decide it where it cannot be told.
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
        return replace(trend, shape="inconclusive", needs=f"{_MAY_HAVE}; {decides}" if decides else _MAY_HAVE)
    return None


def few_beside(growth: float, least: float) -> float:
    """Growth of mappings that is too little to be what grew in them, of which so much counts in any case."""
    return min(RESERVED_SHARE * growth, max(least, growth * BESIDE_SHARE))


def is_the_same(growth: float, filled: float) -> bool:
    """Whether two counters have grown by the same bytes, as who maps a file and who counts files see them."""
    return abs(growth - filled) <= RESERVED_SHARE * filled


def may_be_within(trend: Trend) -> bool:
    """Whether it is asked at all."""
    return trend.shape in ("growing", "inconclusive") and trend.growth > 0
